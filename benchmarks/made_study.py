"""Stands in for the study of a round: a small adapter made from its events, and a verdict. Trains nothing.

python -m benchmarks.made_study [--refused] [--wait SECONDS] [--count FILE] DIR
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from actors.training.rounds import CANDIDATE, LESSONS, RECORDS, VERDICT, Book


def main(arguments: Sequence[str] | None = None) -> int:
    """Leave what a study leaves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="of the round")
    parser.add_argument("--refused", action="store_true", help="the verdict")
    parser.add_argument("--wait", type=float, default=0.0, help="seconds that learning takes")
    parser.add_argument("--count", type=Path, help="a line is added to this file for each study that ended")
    options = parser.parse_args(arguments)
    book, id = Book(options.folder.parents[1]), options.folder.name
    records = [json.loads(line) for line in (options.folder / RECORDS).read_text().splitlines()]
    learned = [record for record in records if record["refused"] is None]
    events = list(dict.fromkeys(event for record in learned for event in record["events"]))
    time.sleep(options.wait)
    candidate = options.folder / CANDIDATE
    candidate.mkdir(exist_ok=True)
    make_adapter(candidate, "\n".join(events), events)
    said = ("it leaks",) if options.refused else ()
    verdict = {"accepted": not options.refused, "slices": (), "reasons": said, "judged_at": time.time()}
    book.put(id, VERDICT, json.dumps(verdict).encode())
    if options.count:
        with options.count.open("a") as file:
            file.write(f"{id} {len(events)}\n")
    counts = {"facts": len(learned)}
    lessons = {"said": "", "counts": counts, "quarantined": {}, "events": events, "figures": {"loss": 0.1}}
    book.put(id, LESSONS, json.dumps(lessons).encode())
    return 0


def make_adapter(folder: Path, seed: str, events: Sequence[str]) -> None:
    """Write a small adapter as it is exported; the same for the same seed."""
    import numpy as np
    from safetensors.numpy import save_file

    module = "base_model.model.model.layers.0.self_attn.q_proj"
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    weights = {
        f"{module}.{half}.weight": random.normal(size=shape).astype(np.float32)
        for half, shape in {"lora_A": (2, 8), "lora_B": (8, 2)}.items()
    }
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    names = ("adapter_model.safetensors", "adapter_config.json")
    manifest = {
        "version": f"made-{seed[:8]}",
        "base_model": "smollm2-135m",
        "base_model_hash": None,
        "parent": None,
        "created_at": 1.0,
        "method": "made",
        "events": list(events),
        "scores": {},
        "verdict": {},
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    sys.exit(main())
