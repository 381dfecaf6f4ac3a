"""Turns sources into a directory that training reads: split by document, with a manifest. Trains nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from actors.messages import InvalidRequest
from tune import cloze, sources
from tune.records import MANIFEST, SPLITS, TEST, TRAIN, Record, write


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written: how many texts, documents and questions, by split."""

    folder: Path
    texts: Mapping[str, int]
    documents: Mapping[str, int]
    questions: Mapping[str, int]


def prepare(
    given: Sequence[str],
    folder: Path,
    *,
    domain: str,
    seed: int = 0,
    test_share: float = 0.25,
    licence: str = "",
) -> Prepared:
    """Read every source, make questions for texts that have none, split by document, and write.

    Raises InvalidRequest for a source that is wrong, or where a split would be left without questions.
    """
    records = [record for source in given for record in sources.read(source, domain)]
    asked = [record if record.questions else _with_cloze(record, seed) for record in records]
    asked = [record for record in asked if record.questions]
    parts: dict[str, list[Record]] = {TRAIN: [], TEST: []}
    for record in asked:
        parts[split_of(record.document, seed, test_share)].append(record)
    for name, held in parts.items():
        if not held and not (name == TEST and test_share == 0) and not (name == TRAIN and test_share == 1):
            raise InvalidRequest(
                f"no document fell into the {name} split ({len(asked)} texts): "
                "give more documents, or another --seed or --test-share"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        write(folder / f"{name}.jsonl", parts[name])
    done = Prepared(
        folder,
        {name: len(held) for name, held in parts.items()},
        {name: len({record.document for record in held}) for name, held in parts.items()},
        {name: sum(len(record.questions) for record in held) for name, held in parts.items()},
    )
    about: dict[str, str | int | float] = {
        "domain": domain,
        "licence": licence,
        "seed": seed,
        "test_share": test_share,
    }
    _write_manifest(done, given, parts, about)
    return done


def split_of(document: str, seed: int, test_share: float) -> str:
    """Where a document belongs: a function of its name and the seed alone, so that others never move it."""
    number = int.from_bytes(hashlib.sha256(f"{seed}/{document}".encode()).digest()[:4]) / 2**32
    return TEST if number < test_share else TRAIN


def sha256(path: Path) -> str:
    """Checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_cloze(record: Record, seed: int) -> Record:
    return replace(record, questions=cloze.questions(record.text, f"{seed}/{record.id}"))


def _write_manifest(
    done: Prepared,
    given: Sequence[str],
    parts: Mapping[str, Sequence[Record]],
    about: Mapping[str, str | int | float],
) -> None:
    manifest = {
        "sources": [_described(source) for source in given],
        **about,
        "texts": done.texts,
        "questions": done.questions,
        "documents": {name: sorted({record.document for record in held}) for name, held in parts.items()},
        "files": {f"{name}.jsonl": sha256(done.folder / f"{name}.jsonl") for name in SPLITS},
    }
    (done.folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def _described(source: str) -> dict[str, str]:
    path = Path(source)
    if path.is_file():
        return {"name": path.name, "sha256": sha256(path)}
    return {"name": source if source.startswith(sources.HUB) else path.name}
