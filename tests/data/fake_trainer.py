"""Stands in for `pal train long-context`: steps without arithmetic, and an adapter of zeros.

The seed says what happens: 13 fails with a reason, 14 is killed at step 3 unless it resumes, 15 is killed
always, 16 goes on only once a file `go` lies beside its output.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

config = json.loads(Path(sys.argv[1]).read_text())
out, seed = Path(sys.argv[sys.argv.index("--out") + 1]), config["seed"]
out.mkdir(exist_ok=True)
assert Path(config["data"][0]["path"]).read_bytes()
begin = (
    max((int(path.name) for path in (out / "checkpoints").glob("*")), default=0)
    if "--resume" in sys.argv
    else 0
)
with (out / "metrics.jsonl").open("a") as metrics:
    for step in range(begin, config["steps"]):
        while seed == 16 and step == 2 and not (out.parent / "go").exists():
            time.sleep(0.02)
        if step == 3 and seed == 13:
            sys.exit("error: step 3: the loss is not a number; data: training.jsonl:7")
        if step == 3 and (seed == 15 or (seed == 14 and not begin)):
            os.kill(os.getpid(), signal.SIGKILL)
        figures = {"step": step, "loss": 2.0 / (step + 1), "tokens_per_s": 100.0, "memory_gib": 0.5}
        metrics.write(json.dumps(figures) + "\n")
        metrics.flush()
        if step % 2:
            (out / "checkpoints" / f"{step + 1:06}").mkdir(parents=True, exist_ok=True)
adapter = out / "adapter"
adapter.mkdir()
name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
save_file(
    {name.format("A"): np.zeros((8, 576), np.float32), name.format("B"): np.zeros((576, 8), np.float32)},
    adapter / "adapter_model.safetensors",
)
(adapter / "adapter_config.json").write_text(
    json.dumps({"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]})
)
(adapter / "manifest.json").write_text(json.dumps({"base_model": config["model"]}))
print(json.dumps({"adapter": str(adapter)}))
