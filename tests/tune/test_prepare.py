import json
from pathlib import Path

import pytest

from actors.messages import InvalidRequest
from tune.prepare import prepare, sha256, split_of
from tune.records import MANIFEST, read


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(20):
        text = f"Number {number} was written by Anna Karlsson in {1900 + number}.\n\n" + "more words " * 100
        (folder / f"{number}.txt").write_text(text)
    return folder


def test_documents_are_split_and_described(texts: Path, tmp_path: Path) -> None:
    done = prepare([str(texts)], tmp_path / "out", domain="letters", seed=1)
    train, test = (read(tmp_path / "out", split) for split in ("train", "test"))
    assert {one.document for one in train} & {one.document for one in test} == set()
    assert {one.document for one in train} | {one.document for one in test} == {f"{n}.txt" for n in range(20)}
    assert all(one.questions and one.domain == "letters" for one in [*train, *test])
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["questions"] == done.questions
    assert manifest["files"]["train.jsonl"] == sha256(tmp_path / "out" / "train.jsonl")


def test_the_same_seed_writes_the_same_bytes(texts: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        prepare([str(texts)], tmp_path / name, domain="letters", seed=4)
    for file in ("train.jsonl", "test.jsonl", MANIFEST):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_where_a_document_belongs_does_not_depend_on_others() -> None:
    splits = [split_of(f"d{number}", 0, 0.25) for number in range(1000)]
    assert 200 < splits.count("test") < 300
    assert splits != [split_of(f"d{number}", 1, 0.25) for number in range(1000)]


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("Anna Karlsson wrote it in 1900.")
    with pytest.raises(InvalidRequest, match="no document fell into"):
        prepare([str(tmp_path / "one.txt")], tmp_path / "out", domain="letters")
