"""Reads texts and questions from what people have: files, directories, SQuAD, LoCoMo, Hugging Face."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.compression.words import split
from actors.memory.training import Lesson, read_examples
from actors.messages import InvalidRequest
from tune import locomo
from tune.records import Question, Record, json_lines, questions_of, text_of

HUB = "hf:"
"""What a Hugging Face data set's name begins with: `hf:NAME[:SPLIT]`."""
TEXT_FILES = frozenset(
    f".{name}"
    for name in ("txt", "md", "rst", "csv", "html", "py", "js", "ts", "go", "rs", "java", "c", "h", "sh")
)
PASSAGE_WORDS = 180
TEXTS = ("text", "context", "document", "article", "content")
"""Columns of a data set that hold its text, the first one there is."""


def read(source: str, domain: str) -> list[Record]:
    """All records of one source. A text without questions has none yet.

    Raises InvalidRequest naming file and line for what cannot be read, NotReady for a data set out of reach.
    """
    if source.startswith(HUB):
        return _hub(source.removeprefix(HUB), domain)
    path = Path(source)
    if path.is_dir():
        return [
            record for file in text_files(path) for record in _file(file, str(file.relative_to(path)), domain)
        ]
    if not path.is_file():
        raise InvalidRequest(f"there is no file or directory {path}")
    if path.suffix == ".jsonl":
        return list(_lines(path, domain))
    if path.suffix == ".json":
        return list(_squad(path, domain))
    return _file(path, path.name, domain)


def conversations(path: Path) -> list[Lesson]:
    """Conversations with questions about them: LoCoMo's JSON, or JSON lines as `read_examples` takes them.

    Raises InvalidRequest naming what is wrong.
    """
    if not path.is_file():
        raise InvalidRequest(f"there is no file {path}: give LoCoMo's JSON, or a JSON line a conversation")
    if path.suffix == ".jsonl":
        return read_examples(path)
    return [locomo.lesson_of(one) for one in locomo.load(path, captions=True)]


def text_files(folder: Path) -> list[Path]:
    """The text files below a folder, sorted. Raises InvalidRequest where there are none."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in TEXT_FILES and file.is_file())
    if not files:
        raise InvalidRequest(f"{folder} holds no text files ({' '.join(sorted(TEXT_FILES))})")
    return files


def rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The rows of a data set's parquet files, read a batch at a time."""
    import pyarrow.parquet

    for file in files:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()


def passages(text: str) -> Iterator[str]:
    """A text cut at blank lines into pieces of up to 180 words; a longer paragraph stays whole."""
    held: list[str] = []
    size = 0
    for paragraph in text.split("\n\n"):
        words = len(split(paragraph))
        if held and size + words > PASSAGE_WORDS:
            yield "\n\n".join(held)
            held, size = [], 0
        if words:
            held.append(paragraph.strip("\n"))
            size += words
    if held:
        yield "\n\n".join(held)


def _file(path: Path, name: str, domain: str) -> list[Record]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    return [
        Record(f"{name}#{number}", name, domain, passage, ()) for number, passage in enumerate(passages(text))
    ]


def _lines(path: Path, domain: str) -> Iterator[Record]:
    """Lines of {"text", "questions"?, "id"?, "document"?}."""
    for number, (place, value) in enumerate(json_lines(path)):
        text = text_of(place, value, "text")
        id = value.get("id", f"{path.name}#{number}")
        document = value.get("document", id)
        if not isinstance(id, str) or not isinstance(document, str):
            raise InvalidRequest(f"{place}: id and document must be strings")
        asked = questions_of(place, value.get("questions", []))
        for one in asked:
            if not any(answer in text for answer in one.answers):
                raise InvalidRequest(f"{place}: no answer of {one.question!r} stands in the text")
        yield Record(id, document, domain, text, asked)


def _squad(path: Path, domain: str) -> Iterator[Record]:
    """SQuAD's own form, or a list of {"title", "context", "questions"}."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRequest(f"{path} is not JSON: {error}") from error
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        paragraphs = [(article, one) for article in value["data"] for one in article.get("paragraphs", ())]
        entries = [
            {"title": article.get("title"), "context": one.get("context"), "questions": one.get("qas")}
            for article, one in paragraphs
        ]
    elif isinstance(value, list):
        entries = value
    else:
        raise InvalidRequest(f"{path} has neither SQuAD's form nor that of a list of contexts with questions")
    for number, entry in enumerate(entries):
        yield _entry(f"{path}: paragraph {number + 1}", number, entry, domain)


def _entry(place: str, number: int, entry: dict[str, Any], domain: str) -> Record:
    if not isinstance(entry, dict):
        raise InvalidRequest(f"{place}: an object is needed")
    title, text = text_of(place, entry, "title"), text_of(place, entry, "context")
    asked = []
    for one in entry.get("questions") or ():
        found = [
            answer["text"] if isinstance(answer, dict) else answer for answer in one.get("answers") or ()
        ]
        right = tuple(dict.fromkeys(answer for answer in found if answer in text))
        if right:
            asked.append(Question(text_of(place, one, "question"), right))
    return Record(f"{title}#{number}", title, domain, text, tuple(asked))


def _hub(name: str, domain: str) -> list[Record]:
    name, _, part = name.partition(":")
    from actors.models.hub import fetch_dataset

    found = rows(fetch_dataset(name, part or "train"))
    given = [record for number, row in enumerate(found) for record in from_row(name, number, row, domain)]
    return merged(given)


def merged(records: Sequence[Record]) -> list[Record]:
    """Records of which each text stands once, with all its questions: a data set's row has one of them."""
    found: dict[tuple[str, str], Record] = {}
    for one in records:
        first = found.get((one.document, one.text))
        asked = (*first.questions, *one.questions) if first else one.questions
        found[one.document, one.text] = replace(first or one, questions=asked)
    return list(found.values())


def from_row(name: str, number: int, row: dict[str, Any], domain: str) -> Sequence[Record]:
    """The records of a data set's row: with its question, where it has one in SQuAD's columns."""
    key = next((key for key in TEXTS if isinstance(row.get(key), str)), None)
    if key is None:
        raise InvalidRequest(f"{name} has no column of text ({', '.join(TEXTS)}); it has {', '.join(row)}")
    text, document = row[key], str(row.get("title") or row.get("id") or number)
    answers = row.get("answers")
    if isinstance(answers, dict) and isinstance(row.get("question"), str):
        right = tuple(dict.fromkeys(one for one in answers.get("text") or () if one in text))
        asked = (Question(row["question"], right),) if right else ()
        return [Record(f"{name}#{number}", document, domain, text, asked)]
    return [
        Record(f"{name}#{number}.{part}", document, domain, passage, ())
        for part, passage in enumerate(passages(text))
    ]
