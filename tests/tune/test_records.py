from pathlib import Path

import pytest

from actors.messages import InvalidRequest
from tune.records import Question, Record, json_lines, read, write

RECORD = Record("a#0", "a", "kind", "Anna lives in Paris.", (Question("Where?", ("Paris",)),))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert write(tmp_path / "train.jsonl", [RECORD, RECORD]) == 2
    assert read(tmp_path, "train") == [RECORD, RECORD]


def test_a_missing_split_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="pal data prepare"):
        read(tmp_path, "train")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "a JSON object is needed"),
        ('{"id": "a", "document": "a", "domain": "k", "questions": []}', "text must be a string"),
        ('{"id": "a", "document": "a", "domain": "k", "text": "t"}', "questions must be a list"),
        ('{"id": "a", "document": "a", "domain": "k", "text": "t", "questions": [1]}', "must be an object"),
        (
            '{"id": "a", "document": "a", "domain": "k", "text": "t", "questions": [{"question": "q"}]}',
            "answers must be a list",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "train.jsonl"
    write(path, [RECORD])
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(InvalidRequest, match=f"train.jsonl:3: .*{problem}"):
        read(tmp_path, "train")


def test_what_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        list(json_lines(path))
