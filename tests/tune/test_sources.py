import json
from pathlib import Path

import pytest

from actors.messages import InvalidRequest, NotReady
from tune import sources
from tune.records import Question


def test_a_directory_is_read_file_by_file_in_passages(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.md").write_text("one\n\n" + "word " * 200 + "\n\ntwo")
    (tmp_path / "sub" / "a.txt").write_text("three")
    (tmp_path / "c.bin").write_bytes(b"\xff")
    found = sources.read(str(tmp_path), "kind")
    assert [(one.id, one.document, one.text[:4]) for one in found] == [
        ("b.md#0", "b.md", "one"),
        ("b.md#1", "b.md", "word"),
        ("b.md#2", "b.md", "two"),
        ("sub/a.txt#0", "sub/a.txt", "thre"),
    ]


def test_json_lines_bring_their_questions(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    line = {"text": "Anna is 40.", "questions": [{"question": "Age?", "answers": ["40"]}], "document": "d"}
    path.write_text(json.dumps(line) + '\n\n{"text": "none"}\n')
    one, other = sources.read(str(path), "kind")
    assert (one.document, one.questions) == ("d", (Question("Age?", ("40",)),))
    assert (other.id, other.questions) == ("x.jsonl#1", ())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nothing", "not JSON"),
        ('{"text": ""}', "text must be a string"),
        ('{"text": "a", "id": 3}', "id and document must be strings"),
        ('{"text": "a", "questions": [{"question": "q", "answers": ["b"]}]}', "no answer of 'q' stands"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "fine"}\n' + line)
    with pytest.raises(InvalidRequest, match=f"x.jsonl:2: {problem}"):
        sources.read(str(path), "kind")


def test_squad_is_read_in_both_forms(tmp_path: Path) -> None:
    own = {
        "data": [
            {
                "title": "T",
                "paragraphs": [
                    {
                        "context": "Anna is 40.",
                        "qas": [
                            {"question": "Who?", "answers": [{"text": "Anna"}, {"text": "Anna"}]},
                            {"question": "Impossible?", "answers": []},
                        ],
                    }
                ],
            }
        ]
    }
    plain = [
        {"title": "T", "context": "Anna is 40.", "questions": [{"question": "Who?", "answers": ["Anna"]}]}
    ]
    for number, value in enumerate((own, plain)):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(value))
        (record,) = sources.read(str(path), "kind")
        assert (record.document, record.questions) == ("T", (Question("Who?", ("Anna",)),))


@pytest.mark.parametrize("text", ["{", '{"rows": []}', '[{"title": "T"}]', "[3]"])
def test_other_json_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=r"x\.json"):
        sources.read(str(path), "kind")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no file or directory"):
        sources.read(str(tmp_path / "none"), "kind")
    with pytest.raises(InvalidRequest, match="no text files"):
        sources.read(str(tmp_path), "kind")


def test_a_row_of_a_data_set_becomes_a_text_with_its_question() -> None:
    row = {"title": "T", "context": "Anna is 40.", "question": "Who?", "answers": {"text": ["Anna"]}}
    (record,) = sources.from_row("squad", 3, row, "kind")
    assert (record.document, record.questions) == ("T", (Question("Who?", ("Anna",)),))
    (plain,) = sources.from_row("wiki", 0, {"text": "Anna is 40."}, "kind")
    assert plain.questions == ()
    with pytest.raises(InvalidRequest, match="no column of text"):
        sources.from_row("pictures", 0, {"image": 1}, "kind")


def test_offline_a_data_set_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NotReady, match="could not reach the Hugging Face Hub for the data set 'squad'"):
        sources.read("hf:squad", "kind")


def test_questions_of_several_rows_about_one_text_come_together() -> None:
    row = {"title": "T", "context": "Anna is 40.", "question": "Who?", "answers": {"text": ["Anna"]}}
    other = {**row, "question": "Age?", "answers": {"text": ["40"]}}
    rows = [
        one for number, given in enumerate((row, other)) for one in sources.from_row("x", number, given, "k")
    ]
    (record,) = sources.merged(rows)
    assert record.questions == (Question("Who?", ("Anna",)), Question("Age?", ("40",)))


def test_conversations_are_read_in_locomos_form(tmp_path: Path) -> None:
    said = [
        {"speaker": "Ada", "dia_id": "D1:1", "text": "I moved to Porto.", "blip_caption": "a river"},
        {"speaker": "Bo", "dia_id": "D1:2", "text": "How lovely!"},
    ]
    asked = [
        {"question": "Where does Ada live?", "evidence": ["D1:1"], "category": 4},
        {"question": "Who knows?", "evidence": ["D9:9"], "category": 4},
        {"question": "Why?", "evidence": [], "category": 5},
    ]
    talk = {"speaker_a": "Ada", "speaker_b": "Bo", "session_1_date_time": "1:56 pm on 8 May, 2023"}
    path = tmp_path / "locomo.json"
    path.write_text(
        json.dumps([{"sample_id": "c", "conversation": {**talk, "session_1": said}, "qa": asked}])
    )
    (lesson,) = sources.conversations(path)
    assert [turn.text for turn in lesson.turns] == [
        "I moved to Porto. [shares a photo: a river]",
        "How lovely!",
    ]
    assert lesson.questions == (("Where does Ada live?", frozenset({"D1:1"})),)
    path.write_text('[{"sample_id": "c"}]')
    with pytest.raises(InvalidRequest, match="has not LoCoMo's form"):
        sources.conversations(path)
    with pytest.raises(InvalidRequest, match="give LoCoMo's JSON"):
        sources.conversations(tmp_path / "none.json")
