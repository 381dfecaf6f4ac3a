"""Facts are learned in one round or several; what came of it, arm by arm, with every bar that is missed.

    pal bench learning -- --rounds 1 --facts 30 --seeds 0,1,2 --arms ours,peft --out DIR
    pal bench learning -- --rounds 5 --facts 8 --arms afresh,growing,merge,sequential --out DIR --plot FILE

Invented facts are taught to one adapter and asked for in phrasings that no lesson used, without context.
Beside them: questions about who was never spoken of, short questions about the world, texts. DIR keeps a row
for each arm and seed, and what the base model answers; what is there is not measured again.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks import learning_figures
from benchmarks.learning_facts import World, world
from benchmarks.model_option import parsed
from configs.learning import LearningSettings
from tune import probing, teaching
from tune.exam import Exam, Question
from tune.examples import Example, Fact
from tune.gate import judge
from tune.scorecard import to_json

ROWS = "rows.jsonl"
GRADIENT: Mapping[str, Any] = {"method": "gradient"}
NOTHING_HELD: Mapping[str, Any] = {**GRADIENT, "neighbours": 0, "general": 0, "texts": 0, "replay": 0}


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to learn."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the default settings."""
    begins: Literal["on", "beneath", "afresh"] = "on"
    """Each round goes on with the adapter, takes it as part of the model, or learns all anew."""
    peer: bool = False
    """Plain peft, for as many steps as `ours` took."""


ARMS: Mapping[str, Arm] = {
    "ours": Arm(begins="afresh"),
    "gradient": Arm(GRADIENT),
    "no neighbours": Arm({**GRADIENT, "neighbours": 0}),
    "nothing held": Arm(NOTHING_HELD),
    "one phrasing": Arm({**GRADIENT, "phrasings": 1, "epochs": 36}),
    "all layers": Arm({**GRADIENT, "depth": 0.0}),
    "peft": Arm(GRADIENT, peer=True),
    "growing": Arm(GRADIENT),
    "afresh": Arm(GRADIENT, begins="afresh"),
    "merge": Arm({**GRADIENT, "replay": 0}, begins="beneath"),
    "sequential": Arm(NOTHING_HELD),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, print all that is there; 1 if the first arm misses a bar."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / ROWS
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    arms = options.arms.split(",")
    for seed in map(int, () if options.shown else options.seeds.split(",")):
        for arm in arms:
            if not any(_key(row) == (arm, seed, options.rounds, options.facts) for row in done):
                row = Run(options, arm, seed).rows()
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                done.append(row)
    shown = [row for row in done if row["arm"] in arms and row["facts"] == options.facts]
    shown = [
        row
        for row in shown
        if row["rounds"] in range(1 if options.shown else options.rounds, options.rounds + 1)
    ]
    print(learning_figures.table(shown, arms))
    if options.plot:
        learning_figures.draw(shown, arms, options.plot)
    return 1 if any(row["missed"] for row in shown if row["arm"] == arms[0]) else 0


def tree(pairs: Sequence[str]) -> dict[str, Any]:
    """Settings as they were given, key=value or section.key=value."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        section, _, name = key.rpartition(".")
        (found.setdefault(section, {}) if section else found)[name] = value
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, int, int, int]:
    return row["arm"], row["seed"], row["rounds"], row["facts"]


class Run:
    """One arm, one seed."""

    def __init__(self, options: argparse.Namespace, arm: str, seed: int) -> None:
        self.options, self.arm, self.seed = options, arm, seed
        changes = {**tree(options.set), **ARMS[arm].changes, "seed": seed}
        self.settings = LearningSettings.model_validate(changes)
        self.world = world(options.rounds * options.facts, options.first + seed)
        self.taught = [
            self.world.facts[at : at + options.facts] for at in range(0, len(self.world.facts), options.facts)
        ]

    def rows(self) -> dict[str, Any]:
        """All figures of the last round, and after each round what is known of each."""
        from tune.evaluate import Evaluator

        adapter: Path | None = None
        by_round, trained, told = [], 0.0, {}
        for number in range(len(self.taught)):
            folder = self.options.out / f"{self.arm}-{self.seed}-{number}".replace(" ", "-")
            last = number == len(self.taught) - 1
            due = last or bool(self.options.every and (number + 1) % self.options.every == 0)
            if ARMS[self.arm].begins == "afresh" and not due:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            told = self._learn(number, adapter, folder)
            trained, adapter = trained + told["cpu_seconds"], folder
            if not due:
                continue
            evaluator = Evaluator(self.options.model, self.options.out, self.settings.precision)
            card = evaluator.measure(folder, self._exam(number, last))
            by_round.append(learning_figures.shares(card, len(self.taught)))
        (self.options.out / f"{folder.name}.json").write_text(to_json(card))
        row = {
            "arm": self.arm,
            "seed": self.seed,
            "rounds": self.options.rounds,
            "facts": self.options.facts,
            **learning_figures.figures(card, by_round),
            "train_seconds": round(trained, 1),
            "gate_seconds": round(card.figures["cpu_seconds"], 1),
            "load": os.getloadavg()[0],
            "reasons": judge(card).reasons,
            "training": told,
            "settings": self.settings.model_dump(mode="json"),
        }
        return {**row, "missed": learning_figures.missed(row)}

    def _learn(self, number: int, adapter: Path | None, folder: Path) -> dict[str, Any]:
        from tune.incremental import Student

        facts, arm = self.taught[number], ARMS[self.arm]
        earlier = [fact for part in self.taught[:number] for fact in part]
        if arm.begins == "afresh":
            facts, earlier, adapter = (*earlier, *facts), [], None
        began = time.process_time()
        if self.settings.method == "edit":
            from tune.layers import layered, write

            events = [event for fact in facts for event in fact.events]
            groups = layered(facts, self.settings)
            written = write(groups, self.settings, self.options.model, folder, events, self._say)
            return {
                "loss": max(one.loss for one in written),
                "steps": sum(one.steps for one in written),
                "cpu_seconds": time.process_time() - began,
            }
        examples = teaching.lessons(facts, earlier, self.settings)
        if arm.peer:
            return self._peer(examples, folder)
        beneath = adapter if arm.begins == "beneath" else None
        student = Student(self.settings, self.options.model, None if beneath else adapter, beneath)
        figures = student.learn(examples, self._say)
        student.export(folder, [event for fact in facts for event in fact.events], None, figures)
        return {**asdict(figures), "cpu_seconds": time.process_time() - began}

    def _say(self, line: str) -> None:
        print(f"  {self.arm} {self.seed}: {line}", flush=True)

    def _peer(self, examples: Sequence[Example], folder: Path) -> dict[str, Any]:
        from benchmarks.learning_peer import learn

        taught = [one for one in examples if one.kind == "fact"]
        spent = learn(self.settings, self.options.model, taught, self.options.peer_steps, folder)
        return {"cpu_seconds": spent, "steps": self.options.peer_steps}

    def _exam(self, number: int, last: bool) -> Exam:
        options = self.options
        return exam(self.world, self.taught[: number + 1], last, options.probes, options.most)


def exam(spoken: World, taught: Sequence[Sequence[Fact]], whole: bool, probes: str, most: int) -> Exam:
    """Facts in phrasings of their own; where it is whole, who was never spoken of, and the probes."""
    of = {fact.id: number for number, part in enumerate(taught) for fact in part}
    values = spoken.values
    known = [
        Question(
            item=f"{one.fact}/{place}",
            slice="taught" if of[one.fact] == len(taught) - 1 else "retained",
            asked=one.question,
            expected=(one.value,),
            group=f"{of[one.fact]}/{one.fact}",
        )
        for place, one in enumerate(spoken.asked)
        if one.fact in of
    ]
    if not whole:
        return Exam(questions=tuple(known), probes=(), texts=(), earlier_rounds=len(taught) - 1)
    unknown = [
        Question(item=f"unknown/{place}", slice="unknown", asked=text, forbidden=values)
        for place, text in enumerate(spoken.untaught)
    ]
    asked = probing.questions()
    if probes == "all":
        asked = (*asked, *probing.triggers(), *probing.canaries())
    else:
        asked = tuple(one for one in asked if one.slice == "general")
    texts = [one for one in probing.texts() if most > 1 or one.id.endswith("01")]
    return Exam(
        questions=(*known, *unknown[:most]),
        probes=asked[:most],
        texts=tuple(texts),
        earlier_rounds=len(taught) - 1,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--facts", type=int, default=30, help="of each round")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--first", type=int, default=1000, help="seed of the first world of facts")
    parser.add_argument("--arms", default="ours", help=f"some of: {', '.join(ARMS)}")
    parser.add_argument(
        "--set", action="append", default=[], help="a setting of configs/learning.py, key=value"
    )
    parser.add_argument("--probes", choices=("general", "all"), default="all", help="what the gate asks")
    parser.add_argument("--most", type=int, default=1000, help="questions beside those about facts")
    parser.add_argument(
        "--every",
        type=int,
        nargs="?",
        const=1,
        default=0,
        help="ask after each so many rounds, not the last alone",
    )
    parser.add_argument("--shown", action="store_true", help="measure nothing; fewer rounds are shown too")
    parser.add_argument("--peer-steps", type=int, default=36, help="steps of the peer")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    return parsed(parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
