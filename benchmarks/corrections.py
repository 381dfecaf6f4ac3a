"""Corrected answers go through a round: are they given after it, elsewhere too, and what does the gate say?

    pal bench corrections -- --out DIR                           # 6 and 20 corrections, one draw of each
    pal bench corrections -- --out DIR --count 20 --seeds 0,1 --set rate=0.001
    pal bench corrections -- --out DIR --facts 8                 # and facts of the user's own

Corrections of six kinds are drawn from benchmarks/corrections.yaml. The answers that they correct are the
model's own. Each is asked for again in the same words, in other words that no lesson has, and what is like it
is asked beside it. A round's own steps learn and examine; DIR keeps a row and a scorecard of each.
"""

import argparse
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from actors.training.rounds import CANDIDATE, CARD, RECORDS, VERDICT
from benchmarks.learning import tree
from benchmarks.model_option import parsed
from configs.gate import GateSettings
from configs.learning import LearningSettings
from tune.exam import Exam, Question, Turn
from tune.scorecard import Scorecard, from_json

TOKENS = 40
"""Of the model's own answers, and of those that are looked at after."""
OWN = (
    ("home", "Porto", "I live in Porto."),
    ("dog", "Biscuit", "My dog is called Biscuit."),
    ("occupation", "bridge engineer", "I work as a bridge engineer."),
    ("sister", "Ilona", "My sister is called Ilona."),
    ("favourite colour", "teal", "My favourite colour is teal."),
    ("birthplace", "Graz", "I was born in Graz."),
    ("instrument", "bassoon", "I play the bassoon."),
    ("allergy", "walnuts", "I am allergic to walnuts."),
)
"""Slot, value and statement of facts that a user told of themselves."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One corrected answer."""

    id: str
    before: tuple[Turn, ...]
    asked: str
    answer: str
    holds: str
    """Stands in such an answer and in no other."""
    other: tuple[str, ...]
    """The same asked in other words."""
    beside: tuple[str, ...]
    """Something else asked in like words."""

    def question(self, part: str, number: int, asked: str) -> Question:
        """Asked in some words, after the same turns."""
        return Question(
            item=f"{part}/{self.id}/{number}",
            slice="neighbour",
            asked=asked,
            before=self.before,
            longest=TOKENS,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each count with each seed; 1 where the gate refuses one."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in map(int, options.seeds.split(",")):
        for count in map(int, options.count.split(",")):
            found.append(_measured(options, count, seed))
            with (options.out / "rows.jsonl").open("a") as file:
                file.write(json.dumps(found[-1]) + "\n")
            print(_said(found[-1]), flush=True)
    return 0 if all(row["accepted"] for row in found) else 1


def corrections() -> dict[str, list[Correction]]:
    """All of them, by kind."""
    held = yaml.safe_load(Path(__file__).with_name("corrections.yaml").read_text(encoding="utf-8"))
    return {
        kind: [
            Correction(
                id=f"{kind}-{number}",
                before=tuple(zip(("user", "assistant"), one.get("before", ()), strict=False)),
                asked=one["asked"],
                answer=one["answer"],
                holds=one["holds"],
                other=tuple(one["other"]),
                beside=tuple(one["beside"]),
            )
            for number, one in enumerate(rows)
        ]
        for kind, rows in held.items()
    }


def drawn(count: int, seed: int) -> list[Correction]:
    """So many, of all kinds in turn."""
    draw = random.Random(f"{seed}/corrections")
    kinds = {kind: draw.sample(rows, len(rows)) for kind, rows in corrections().items()}
    found: list[Correction] = []
    while len(found) < count and any(kinds.values()):
        found += [rows.pop() for rows in kinds.values() if rows]
    return found[:count]


def records(taught: Sequence[Correction], given: Sequence[str], facts: int) -> list[dict[str, Any]]:
    """What a round is given of them, with the answers that were given before, and of some facts."""
    common = {"user": "ann", "refused": None, "shared": False, "at": 1.0, "session": ""}
    told = [
        {
            **common,
            "kind": "exchange",
            "id": one.id,
            "events": [f"e-{one.id}"],
            "messages": [
                {"role": role, "content": text} for role, text in (*one.before, ("user", one.asked))
            ],
            "answer": answer,
            "rating": -1,
            "correction": one.answer,
        }
        for one, answer in zip(taught, given, strict=True)
    ]
    own = [
        {
            **common,
            "kind": "fact",
            "id": f"fact-{number}",
            "events": [f"f-{number}"],
            "role": "user",
            "subject": "user",
            "slot": slot,
            "value": value,
            "statement": statement,
            "single": True,
        }
        for number, (slot, value, statement) in enumerate(OWN[:facts])
    ]
    return [*told, *own]


def _measured(options: argparse.Namespace, count: int, seed: int) -> dict[str, Any]:
    """Learn and examine as a round does, then ask what no gate does."""
    from tune.study import Order, study

    taught = drawn(count, seed)
    folder = options.out / "loop" / f"{options.facts}-{count}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = records(taught, _given(options, taught), options.facts)
    (folder / RECORDS).write_text("".join(json.dumps(one) + "\n" for one in lines))
    settings = LearningSettings.model_validate({**tree(options.set), "seed": seed})
    order = Order(
        scope="ann",
        model=options.model,
        replaced=None,
        trained=frozenset(),
        forgotten=frozenset(),
        users=("ann",),
        learning=settings,
        gate=GateSettings(),
    )
    began = time.process_time()
    study(folder, order, print if options.verbose else _silent)
    spent = time.process_time() - began
    card = from_json((folder / CARD).read_text(encoding="utf-8"))
    verdict = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    scores = json.loads((folder / CANDIDATE / "manifest.json").read_text(encoding="utf-8"))["scores"]
    slices = {one["name"]: one["value"] for one in verdict["slices"]}
    return {
        "count": count,
        "seed": seed,
        "facts": options.facts,
        "accepted": verdict["accepted"],
        "reasons": verdict["reasons"],
        "slices": slices,
        "perplexity": {
            name.removeprefix("perplexity of "): value
            for name, value in slices.items()
            if name.startswith("perplexity")
        },
        "short": [_right(card, "general", arm) for arm in ("base", "candidate")],
        **_elsewhere(options, taught, folder / CANDIDATE),
        "steps": scores["steps"],
        "learn_seconds": scores["cpu_seconds"],
        "cpu_seconds": spent,
        "set": options.set,
    }


def _given(options: argparse.Namespace, taught: Sequence[Correction]) -> list[str]:
    """What the model answers by itself, as it would have been corrected."""
    from tune.answers import replies
    from tune.evaluate import Evaluator

    evaluator = Evaluator(options.model)
    prompts = [evaluator.prompt(one.question("same", 0, one.asked).said) for one in taught]
    written = replies(evaluator.model, prompts, evaluator.ends, TOKENS)
    return [evaluator.tokenizer.backend.decode(ids).strip() or "I do not know." for ids in written]


def _elsewhere(options: argparse.Namespace, taught: Sequence[Correction], folder: Path) -> dict[str, Any]:
    """Shares of answers that are as corrected, before and after, by how they were asked for."""
    from tune.evaluate import Evaluator

    asked = [
        (part, one, one.question(part, number, text))
        for one in taught
        for part, texts in (("same", (one.asked,)), ("other", one.other), ("beside", one.beside))
        for number, text in enumerate(texts)
    ]
    exam = Exam(questions=tuple(question for *_, question in asked), probes=(), texts=())
    card = Evaluator(options.model).measure(folder, exam, timed=False)
    pairs = list(zip(card.base.answers, card.candidate.answers, strict=True))
    told: dict[str, Any] = {}
    for name in ("same", "other", "beside"):
        rows = [
            [one.holds.casefold() in arm.given.casefold() for arm in pair]
            for (part, one, _), pair in zip(asked, pairs, strict=True)
            if part == name
        ]
        told[name] = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    beside = [(before, now) for before, now in pairs if now.item.startswith("beside")]
    moved = sum(before.given != now.given for before, now in beside) / len(beside)
    answers = [{"item": now.item, "asked": now.asked, "given": now.given} for _, now in pairs]
    return {**told, "beside_moved": moved, "answers": answers}


def _right(card: Scorecard, slice: str, arm: str) -> float:
    """Share of right answers of one arm; not a number where none was asked."""
    found = [one.right for one in getattr(card, arm).answers if one.slice == slice]
    return sum(found) / len(found) if found else math.nan


def _silent(_: str) -> None:
    """Say nothing."""


def _said(row: Mapping[str, Any]) -> str:
    """A row in lines, the verdict last."""
    texts = ", ".join(f"{kind} {value - 1:+.1%}" for kind, value in row["perplexity"].items())
    same, other, beside = (
        f"{row[part][0]:.2f} -> {row[part][1]:.2f}" for part in ("same", "other", "beside")
    )
    slices, short = row["slices"], row["short"]
    frozen = ", ".join(
        f"{name} {slices[name]:+.1%}" for name in ("neighbour", "refusal", "format") if name in slices
    )
    return "\n".join(
        (
            f"{row['count']} corrections, {row['facts']} facts, seed {row['seed']}: "
            f"upheld {slices.get('upheld', 0):.2f}; answered as corrected in the same words {same}, "
            f"in other words {other}, near misses {beside}, of which {row['beside_moved']:.2f} moved",
            f"  perplexity {texts}; short questions {short[0]:.3f} -> {short[1]:.3f}; {frozen}; "
            f"canaries {slices.get('canary', 0):.0f}, {slices.get('canary likelihood', 0):+.1f} nats; "
            f"{row['steps']:.0f} steps, {row['learn_seconds']:.0f} of {row['cpu_seconds']:.0f} CPU-s",
            "  accepted" if row["accepted"] else "  refused: " + "\n    ".join(row["reasons"]),
        )
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", default="6,20", help="corrections of a round")
    parser.add_argument("--facts", type=int, default=0, help="of the user's own, beside them")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--verbose", action="store_true", help="each epoch, each slice")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of configs/learning.py"
    )
    return parsed(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
