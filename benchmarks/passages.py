"""Passages are learned into an adapter: what it answers of them without seeing them, arm by arm.

    pal bench passages -- --data squad-dev.json --out DIR         # made-up questions, and the raw text
    pal bench passages -- --data squad-dev.json --out DIR --arms rules --questions 60 --set turns=1

FILE has passages with questions that people asked, as SQuAD does. Those with the most questions are taken,
at most `--each` of an article, until there are `--questions`; none is trained on. DIR keeps each turn
of learning and a row for each arm and seed; what is there is not done again.
"""

import argparse
import json
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import passages_figures as figures
from benchmarks.model_option import parsed
from configs.learning import PassageSettings
from tune import probing, sources
from tune.exam import Exam, Question
from tune.examples import Passage
from tune.passages import plain
from tune.records import Record

ROWS = "rows.jsonl"
ARMS = ("rules", "raw")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is learned, and what is asked of it."""

    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, print all that is there; 1 if the first arm misses a bar."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / ROWS
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    chosen = choose(
        sources.read(str(options.data), "passages"), options.questions, options.each, options.without
    )
    for seed in map(int, options.seeds.split(",")):
        for arm in options.arms.split(","):
            if not any(_key(row) == (arm, seed, options.longest) for row in done):
                row = Run(options, chosen, arm, seed).row()
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                done.append(row)
    shown = [row for row in done if row["arm"] in options.arms.split(",")]
    print(figures.table(shown))
    return 1 if any(row["missed"] for row in shown if row["arm"] == options.arms.split(",")[0]) else 0


def _key(row: Mapping[str, Any]) -> tuple[str, int, int]:
    return row["arm"], row["seed"], row["longest"]


def choose(records: Sequence[Record], count: int, each: int, without: Collection[int] = ()) -> Chosen:
    """Passages with the most distinct questions: `each` of an article at most, none of those `without`."""
    found: list[tuple[Record, dict[str, Question]]] = []
    for place, record in enumerate(records):
        asked = {
            plain(one.question): Question(
                item=f"{record.id}/{number}",
                slice="retained",
                asked=one.question,
                expected=one.answers,
                group=record.id,
            )
            for number, one in enumerate(record.questions)
        }
        if place not in without:
            found.append((record, asked))
    taken: dict[str, int] = {}
    passages: list[Passage] = []
    questions: dict[str, Question] = {}
    for record, asked in sorted(found, key=lambda one: -len(one[1])):
        taken[record.document] = taken.get(record.document, 0) + 1
        if taken[record.document] <= each and len(questions) < count:
            passages.append(_passage(record))
            questions = {**asked, **questions}
    return Chosen(tuple(passages), tuple(questions.values()))


def _passage(record: Record) -> Passage:
    return Passage(
        id=record.id,
        user="",
        filename=record.document,
        heading=record.document,
        text=record.text,
        start=0,
        end=len(record.text),
        events=(record.id,),
    )


class Run:
    """One arm, one seed."""

    def __init__(self, options: argparse.Namespace, chosen: Chosen, arm: str, seed: int) -> None:
        self.options, self.chosen, self.arm, self.seed = options, chosen, arm, seed
        changes = dict(pair.split("=", 1) for pair in options.set)
        self.settings = PassageSettings.model_validate(changes)
        self.folder: Path = options.out / f"{arm}-{seed}"

    def row(self) -> dict[str, Any]:
        """Learn what is not learned yet, ask, and tell."""
        from tune.evaluate import Evaluator

        told = self._learned()
        probes = tuple(one for one in probing.questions() if one.slice == "general")[: self.options.most]
        exam = Exam(questions=self._asked(), probes=probes)
        folder = self.folder / f"turn-{len(told) - 1}"
        card = Evaluator(self.options.model, self.options.out).measure(folder, exam, timed=False)
        row = {
            "arm": self.arm,
            "seed": self.seed,
            "passages": len(self.chosen.passages),
            "longest": self.options.longest,
            **figures.figures(card),
            "cpu_seconds": sum(one["cpu_seconds"] for one in told),
            "tokens": sum(one["tokens"] for one in told),
            "lessons": sum(one["lessons"] for one in told),
            "examined_in_training": self._seen(),
            "loss": told[-1]["loss"],
            "settings": self.settings.model_dump(mode="json"),
        }
        return {**row, "missed": figures.missed(row)}

    def _asked(self) -> tuple[Question, ...]:
        return tuple(replace(one, longest=self.options.longest) for one in self.chosen.questions)

    def _learned(self) -> list[dict[str, Any]]:
        """What each turn came to; those that are there are not repeated."""
        from benchmarks.passages_raw import HEART

        told: list[dict[str, Any]] = []
        for turn in range(self.settings.turns):
            folder = self.folder / f"turn-{turn}"
            kept = self.folder / f"turn-{turn}.json"
            if not kept.exists():
                shutil.rmtree(folder, ignore_errors=True)
                found = self._turn(turn, folder)
                kept.write_text(json.dumps(found))
            told.append(json.loads(kept.read_text()))
            if self.arm == "raw" and told[-1]["loss"] <= HEART:
                break
        return told

    def _turn(self, number: int, folder: Path) -> dict[str, Any]:
        from benchmarks.passages_raw import Reader, read
        from tune.incremental import Student
        from tune.reciting import settings_of, turn

        began = time.process_time()
        before = self.folder / f"turn-{number - 1}" if number else None
        passages, settings, seed = self.chosen.passages, self.settings, self.seed
        kind = Reader if self.arm == "raw" else Student
        student = kind(settings_of(settings, seed, number), self.options.model, before)
        if self.arm == "raw":
            lessons, found = read(student, passages, settings, seed, number, self._say)
        else:
            never = [one.asked for one in self.chosen.questions]
            lessons, found = turn(student, passages, settings, seed, number, self._say, never)
        student.export(folder, [one.id for one in self.chosen.passages], None, found)
        (self.folder / f"turn-{number}-asked.json").write_text(
            json.dumps([one.messages[0]["content"] for one in lessons])
        )
        spent = time.process_time() - began
        return {**asdict(found), "cpu_seconds": spent, "lessons": len(lessons)}

    def _seen(self) -> int:
        """Questions of the exam that were trained on."""
        asked = {plain(one.asked) for one in self.chosen.questions}
        trained = {
            plain(text)
            for path in self.folder.glob("turn-*-asked.json")
            for text in json.loads(path.read_text())
        }
        return len(asked & trained)

    def _say(self, line: str) -> None:
        print(f"  {self.arm} {self.seed}: {line}", flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="passages with questions")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--questions", type=int, default=300, help="at least so many are asked")
    parser.add_argument("--each", type=int, default=4, help="passages of an article at most")
    parser.add_argument(
        "--without",
        type=int,
        nargs="*",
        default=[],
        help="places in FILE of passages that the way was tried on",
    )
    parser.add_argument("--longest", type=int, default=16, help="tokens of an answer")
    parser.add_argument("--most", type=int, default=1000, help="short questions about the world")
    parser.add_argument("--set", action="append", default=[], help="a setting of passages, key=value")
    return parsed(parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
