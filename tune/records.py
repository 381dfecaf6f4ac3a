"""Texts with questions as training reads them, a JSON line each. Knows no source and no training."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.messages import InvalidRequest
from actors.training.lessons import json_objects

SPLITS = TRAIN, TEST = ("train", "test")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a text, and every answer that is right; each stands in the text as written."""

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One text. All records of a document fall into the same split."""

    id: str
    document: str
    domain: str
    text: str
    questions: tuple[Question, ...]


def write(path: Path, records: Iterable[Record]) -> int:
    """Write records as JSON lines. Returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            count += 1
    return count


def read(folder: Path, split: str) -> list[Record]:
    """The records of one split of a prepared directory. Raises InvalidRequest naming file and line."""
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        raise InvalidRequest(f"{path} is missing: make it with `pal data prepare … --out {folder}`")
    return [_record(place, value) for place, value in json_lines(path)]


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's place, `file:line`, and object. Raises InvalidRequest for a line that is none."""
    with path.open("rb") as file:
        yield from json_objects(str(path), file)


def questions_of(place: str, value: object) -> tuple[Question, ...]:
    """The questions of a line. Raises InvalidRequest naming the place."""
    if not isinstance(value, list):
        raise InvalidRequest(f"{place}: questions must be a list")
    return tuple(_question(place, one) for one in value)


def text_of(place: str, value: dict[str, Any], key: str) -> str:
    """A string that must be there. Raises InvalidRequest naming the place."""
    text = value.get(key)
    if not isinstance(text, str) or not text.strip():
        raise InvalidRequest(f"{place}: {key} must be a string with something in it")
    return text


def _record(place: str, value: dict[str, Any]) -> Record:
    id, document, domain, text = (text_of(place, value, key) for key in ("id", "document", "domain", "text"))
    return Record(id, document, domain, text, questions_of(place, value.get("questions")))


def _question(place: str, value: object) -> Question:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{place}: each question must be an object with question and answers")
    answers = value.get("answers")
    if isinstance(answers, str):
        answers = [answers]
    if (
        not isinstance(answers, list)
        or not answers
        or not all(isinstance(one, str) and one for one in answers)
    ):
        raise InvalidRequest(f"{place}: answers must be a list of strings with something in them")
    return Question(text_of(place, value, "question"), tuple(answers))
