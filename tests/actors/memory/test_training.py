import json
from pathlib import Path

import pytest

from actors.memory.ranker import SHIPPED
from actors.memory.recollection import recollect
from actors.memory.training import learn, prepare, read_examples
from actors.messages import InvalidRequest

TURNS = [
    {"id": "a", "session": "one", "speaker": "Ada", "text": "I bought a red canoe.", "said_at": 1},
    {"id": "b", "session": "one", "speaker": "Ben", "text": "What will you do with it?", "said_at": 2},
    {"id": "c", "session": "two", "speaker": "Ada", "text": "My violin is broken.", "said_at": 9},
]
ASKED = [
    {"question": "What did Ada buy?", "evidence": ["a"]},
    {"question": "Whose violin is broken?", "evidence": ["c"]},
    {"question": "What is not known?", "evidence": []},
]


def written(path: Path, *records: object) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n")
    return path


def test_a_file_is_read_and_learned_from(tmp_path: Path) -> None:
    lessons = read_examples(written(tmp_path / "mine.jsonl", {"turns": TURNS, "questions": ASKED}))
    assert [turn.ordinal for turn in lessons[0].turns] == [0, 1, 0]
    asked = prepare(lessons, None)
    assert [one.text for one in asked] == ["What did Ada buy?", "Whose violin is broken?"]
    ranker = learn(asked)
    assert ranker.second.keys() == SHIPPED.second.keys()
    assert recollect(asked[1].held, asked[1].text, None, 1, ranker)[0].row == 2


@pytest.mark.parametrize(
    "record",
    [
        {"turns": TURNS},
        {"turns": TURNS, "questions": [{"question": "Who?", "evidence": ["nobody"]}]},
        {"turns": [{"id": "a"}], "questions": []},
        [],
        3,
    ],
)
def test_the_wrong_line_is_named(tmp_path: Path, record: object) -> None:
    good = {"turns": TURNS, "questions": ASKED}
    with pytest.raises(InvalidRequest, match="line 2"):
        read_examples(written(tmp_path / "mine.jsonl", good, record))
