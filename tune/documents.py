"""Reads what long sequences are made of: chats, texts, token ids, each with its place. Knows no tokenizer."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.messages import InvalidRequest
from actors.training.lessons import Chat, chat_of
from configs.training import DataSource
from tune import sources
from tune.records import json_lines

PIECE = 1 << 18
"""Characters of a long text that are read and tokenised at once."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text to learn as a whole, in pieces that can be tokenised one by one."""

    place: str
    pieces: Iterator[str]


@dataclass(frozen=True, slots=True)
class Ids:
    """What is tokenised already; `learned` says of each token whether it is to be learned."""

    place: str
    tokens: tuple[int, ...]
    learned: tuple[bool, ...]


Document = Chat | Text | Ids


def read(source: DataSource, files: list[Path]) -> Iterator[Document]:
    """The documents of a source of kind chat, text or hub, whose files are `files_of` it.

    Raises InvalidRequest naming file and line for what cannot be read.
    """
    if source.kind == "hub":
        for number, row in enumerate(sources.rows(files)):
            yield of_row(f"{source.name}:{source.split} row {number}", row, source.column)
        return
    for file in files:
        if file.suffix != ".jsonl":
            yield Text(str(file), _pieces(file))
            continue
        for place, row in json_lines(file):
            yield of_row(place, row, "messages" if source.kind == "chat" else source.column)


def files_of(source: DataSource) -> list[Path]:
    """The files that a source is read from, fetched where need be.

    Raises InvalidRequest if they are not there, NotReady for a data set out of reach.
    """
    if source.kind == "hub":
        from actors.models.hub import fetch_dataset

        return fetch_dataset(str(source.name), source.split)
    path = source.path or Path()
    if path.is_dir():
        return sorted(path.rglob("*.jsonl")) if source.kind == "chat" else sources.text_files(path)
    if not path.is_file():
        raise InvalidRequest(f"there is no file or directory {path}")
    if source.kind == "chat" and path.suffix != ".jsonl":
        raise InvalidRequest(f"{path}: chats are JSON lines, in a file that ends in .jsonl")
    return [path]


def checksum(files: list[Path]) -> str:
    """Of names and contents."""
    told = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            told.update(f"{file.name}\n{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return told.hexdigest()


def of_row(place: str, row: Mapping[str, Any], column: str) -> Document:
    """A row's document: token ids, a chat, or a text. Raises InvalidRequest naming the place."""
    if "tokens" in row:
        return _ids(place, row["tokens"], row.get("labels", row["tokens"]))
    named = next((key for key in (column, "messages", *sources.TEXTS) if row.get(key) is not None), None)
    if named is None or (column == "messages" and named != "messages"):
        wanted = "messages" if column == "messages" else f"{column}, messages or tokens"
        raise InvalidRequest(f"{place}: there is no {wanted}; there is {', '.join(row) or 'nothing'}")
    value = row[named]
    if isinstance(value, str) and value.strip():
        return Text(place, iter((value,)))
    if isinstance(value, list) and value:
        return chat_of(place, value, row.get("tools") or ())
    raise InvalidRequest(f"{place}: {named} must be messages, or a string with something in it")


def _ids(place: str, tokens: Any, labels: Any) -> Ids:
    for name, value in (("tokens", tokens), ("labels", labels)):
        if not isinstance(value, list) or not all(type(one) is int for one in value) or not value:
            raise InvalidRequest(f"{place}: {name} must be a list of whole numbers")
    if len(tokens) != len(labels):
        raise InvalidRequest(f"{place}: {len(tokens)} tokens, but {len(labels)} labels")
    for number, (token, label) in enumerate(zip(tokens, labels, strict=True)):
        if label not in (token, -100):
            raise InvalidRequest(
                f"{place}: labels[{number}] is {label}: only the token there ({token}) or -100 can be"
            )
    return Ids(place, tuple(tokens), tuple(label != -100 for label in labels))


def _pieces(file: Path) -> Iterator[str]:
    """A text in pieces, cut between lines where one break alone is between words: no token spans two."""
    held: list[str] = []
    size = 0
    with file.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidRequest(
                    f"{file}:{number}: not UTF-8: {error.reason} at byte {error.start} of the line"
                ) from error
            if size >= PIECE and not text[0].isspace() and held[-1][-2:-1].strip():
                yield "".join(held)
                held, size = [], 0
            held.append(text)
            size += len(text)
    if size:
        yield "".join(held)
