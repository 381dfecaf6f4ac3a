"""An adapter that PEFT wrote is taken in, and PEFT loads what is exported."""

from pathlib import Path

from actors.lineage import Lineage
from actors.training.manifests import export, manifest_of
from configs.schema import EngineSettings, Settings


async def test_peft_reads_what_it_wrote(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    model = get_peft_model(
        base, LoraConfig(r=4, target_modules=r".*\.(q_proj|down_proj)", init_lora_weights=False)
    )
    model.save_pretrained(str(tmp_path / "made"))
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        wanted = model(tokens).logits
    settings = Settings(home=tmp_path / "home", engine=EngineSettings(model=str(tiny_model)))
    lineage = Lineage(settings)
    await lineage.start()
    version = await lineage.admit(tmp_path / "made", method="made", events=["e-1"], scores={})
    assert version.base_model_hash
    await lineage.close()
    export(Path(version.path), manifest_of(version), tmp_path / "out")
    again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), str(tmp_path / "out"))
    with torch.no_grad():
        assert torch.equal(again(tokens).logits, wanted)
