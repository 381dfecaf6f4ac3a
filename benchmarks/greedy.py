"""Greedy tokens and logits of the sharded torch engine against transformers' own `generate`, in float32.

    python -m benchmarks.greedy [--prompts 50] [--longest 6000] [--tokens 16] [--shards 1 2 3]
        [--hosts here ray] [--json]

Prompts are cut from the project's own documents, of 1 token to the longest, evenly on a logarithmic scale.
Every number of shards runs in this process and over Ray, without an adapter and with a random LoRA adapter,
all prompts at once, reusing prefixes. Printed for each: prompts whose tokens are all equal, the largest
difference of the logits after one prompt in `--every` (computed without reuse), and where tokens differ, how
close the two best logits of transformers were.
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from actors.engines.chain import build, cache_slots, layout
from actors.engines.choose import model_directory
from actors.engines.torch import TorchEngine
from actors.messages import Piece, Sampling, Step
from actors.models.tokenizer import ModelTokenizer
from benchmarks.hosts import ROOT
from cluster.runtime import ray_runtime
from configs.load import load
from configs.schema import EngineSettings

ADAPTER = "random"
STEP = 512
CONSOLE = Console(stderr=True)


@dataclass(frozen=True)
class Reference:
    """What transformers says: tokens, logits after the prompt [V], gap of the two best logits each step."""

    tokens: list[int]
    logits_V: np.ndarray
    gaps: list[float]


@dataclass(frozen=True)
class Trial:
    """What every arrangement of shards is asked, and what transformers answered with each adapter."""

    model: Path
    adapters: dict[str | None, Path | None]
    prompts: list[list[int]]
    wanted: dict[str | None, list[Reference]]


def main() -> int:
    """Compare and print; 1 if any token differs or a logit is more than 1e-3 off."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = _options()
    settings = load().settings
    model = Path(options.model) if options.model else model_directory(settings)
    prompts = cut_prompts(ModelTokenizer(model), options.prompts, options.longest)
    rows = []
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        adapter = save_random_adapter(model, Path(directory))
        wanted = {
            name: list(references(model, path, prompts, options.tokens)) for name, path in adapter.items()
        }
        trial = Trial(model, adapter, prompts, wanted)
        if "ray" in options.hosts:
            engine = settings.engine.model_copy(update={"shards": max(options.shards)})
            stack.enter_context(ray_runtime(settings.model_copy(update={"engine": engine})))
        for host in options.hosts:
            for shards in options.shards:
                engine = EngineSettings(dtype="float32", shards=shards, max_sequences=8)
                row = asyncio.run(_compare(engine, host, trial, options.tokens, options.every))
                rows += row
    if options.json:
        print(json.dumps(rows))
    return int(any(row["equal"] < row["prompts"] or row["logits"] > 1e-3 for row in rows))


def cut_prompts(tokenizer: ModelTokenizer, count: int, longest: int) -> list[list[int]]:
    """Token ids of prompts of 1 to `longest` tokens: beginnings of two texts in turn."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    ids = tokenizer.encode("\n\n".join(file.read_text(encoding="utf-8") for file in files))
    while len(ids) < 2 * longest:
        ids = ids + ids
    texts = (ids, ids[longest // 2 :])
    lengths = np.unique(np.geomspace(1, longest, count).round().astype(int)).tolist()
    missing = sorted(set(range(1, longest + 1)) - set(lengths))[: count - len(lengths)]
    return [texts[number % 2][:length] for number, length in enumerate(sorted(lengths + missing))]


def save_random_adapter(model: Path, directory: Path) -> dict[str | None, Path | None]:
    """A LoRA adapter with random factors, by PEFT: large enough to change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32, local_files_only=True)
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "up_proj", "down_proj"])
    adapted = get_peft_model(base, config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.02)
    adapted.save_pretrained(str(directory))
    return {None: None, ADAPTER: directory}


def references(
    model: Path, adapter: Path | None, prompts: Sequence[list[int]], tokens: int
) -> Iterator[Reference]:
    """What transformers generates greedily for each prompt, one at a time, past end tokens."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    loaded = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32, local_files_only=True)
    if adapter is not None:
        loaded = PeftModel.from_pretrained(loaded, str(adapter))
    label = f"transformers{' + adapter' if adapter else ''}"
    for prompt in track(prompts, description=label, console=CONSOLE):
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            output = loaded.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                eos_token_id=None,
                pad_token_id=0,
                output_logits=True,
                return_dict_in_generate=True,
            )
        best = [logits[0].topk(2).values for logits in output.logits]
        yield Reference(
            tokens=output.sequences[0, len(prompt) :].tolist(),
            logits_V=output.logits[0][0].float().numpy(),
            gaps=[float(pair[0] - pair[1]) for pair in best],
        )


async def _compare(
    settings: EngineSettings, host: str, trial: Trial, tokens: int, every: int
) -> list[dict[str, Any]]:
    """One row for each adapter: equal prompts, largest difference of logits, gaps where tokens differ."""
    off = await _logits_off(settings, host, trial, every)
    model, prompts, wanted = trial.model, trial.prompts, trial.wanted
    engine = await TorchEngine.create(settings, model, ModelTokenizer(model), apart=host == "ray")
    rows: list[dict[str, Any]] = []
    for name, path in trial.adapters.items():
        if name is not None and path is not None:
            await engine.load_adapter(name, path)
        answers = await asyncio.gather(*(_greedy(engine, prompt, tokens, name) for prompt in prompts))
        gaps = [
            gap
            for answer, reference in zip(answers, wanted[name], strict=True)
            if (gap := _gap_at_difference(answer, reference)) is not None
        ]
        row: dict[str, Any] = {
            "host": host,
            "shards": settings.shards,
            "adapter": name is not None,
            "prompts": len(prompts),
            "equal": len(prompts) - len(gaps),
            "logits": off[name],
            "gaps": gaps,
        }
        rows.append(row)
        print(
            f"{host:5} {settings.shards} shard(s) {'adapter' if name else 'plain':8} equal {row['equal']} of "
            f"{len(prompts)}, logits within {off[name]:.1e}, gaps where not {gaps}",
            flush=True,
        )
    facts = await engine.facts()
    held = [round(one.weight_bytes / (1 << 20), 1) for one in facts]
    print(f"      weights MiB by shard {held}", flush=True)
    await engine.close()
    return rows


async def _greedy(engine: TorchEngine, prompt: list[int], tokens: int, adapter: str | None) -> list[int]:
    sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
    answer: list[int] = []
    async for delta in engine.generate(f"greedy-{len(prompt)}", prompt, sampling, adapter):
        answer += delta.token_ids
    return answer


def _gap_at_difference(answer: list[int], reference: Reference) -> float | None:
    pairs = zip(answer, reference.tokens, reference.gaps, strict=True)
    return next((gap for mine, theirs, gap in pairs if mine != theirs), None)


async def _logits_off(
    settings: EngineSettings, host: str, trial: Trial, every: int
) -> dict[str | None, float]:
    """The largest difference of any logit after a prompt, asked of the shards themselves."""
    plan = layout(trial.model, 4)
    chain = await build(settings, trial.model, plan, apart=host == "ray")
    slots = cache_slots(settings, plan)
    number = 0
    off: dict[str | None, float] = {}
    for name, path in trial.adapters.items():
        if name is not None and path is not None:
            await chain.each(lambda shard, name=name, path=path: shard.load_adapter(name, path))  # type: ignore[misc]
        worst = 0.0
        pairs = list(zip(trial.prompts, trial.wanted[name], strict=True))
        for prompt, reference in pairs[every - 1 :: every]:
            assert len(prompt) <= slots
            for start in range(0, len(prompt), STEP):
                piece = Piece(
                    tokens=tuple(prompt[start : start + STEP]),
                    start=start,
                    runs=((0, min(start + STEP, len(prompt))),),
                    want="logits" if start + STEP >= len(prompt) else "nothing",
                    adapter=name,
                )
                picks = await chain.forward(Step(epoch=0, number=number, pieces=(piece,)))
                number += 1
            worst = max(worst, float(np.abs(picks[0].logits - reference.logits_V).max()))
        off[name] = worst
    await chain.close()
    return off


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=50, help="Prompts.")
    parser.add_argument("--longest", type=int, default=6000, help="Tokens of the longest prompt.")
    parser.add_argument("--tokens", type=int, default=16, help="Tokens generated for each.")
    parser.add_argument("--every", type=int, default=4, help="Compare logits after one prompt in so many.")
    parser.add_argument("--shards", nargs="+", type=int, default=[1, 2, 3], help="Numbers of shards.")
    parser.add_argument("--hosts", nargs="+", choices=("here", "ray"), default=["here", "ray"], help="Where.")
    parser.add_argument("--model", help="Directory of the model; default: engine.model of the settings.")
    parser.add_argument("--json", action="store_true", help="Also print all rows as JSON.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
