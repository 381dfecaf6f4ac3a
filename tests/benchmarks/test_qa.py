import json
from pathlib import Path

import pytest

from benchmarks import qa_answers
from benchmarks.qa import measure, show

TOPICS = {
    "Harrow club": [
        (
            "The Harrow Lantern Club was founded by Ann Lee in 1850.",
            "Who founded the Harrow Lantern Club?",
            "Ann Lee",
        ),
        (
            "The Harrow boathouse burned down in 1902 after a storm.",
            "When did the boathouse burn down?",
            "1902",
        ),
    ],
    "Dunmere": [
        (
            "Dunmere market sells wool from the northern hills each autumn.",
            "What does Dunmere market sell?",
            "wool",
        ),
        (
            "The Dunmere bridge has nine arches of grey stone.",
            "How many arches has the Dunmere bridge?",
            "nine",
        ),
    ],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.json"
    filler = "Nothing else of note is written down in this place about anything at all, they say."
    entries = [
        {
            "title": title,
            "context": f"{context} {filler}",
            "questions": [{"question": question, "answers": [answer]}],
        }
        for title, facts in TOPICS.items()
        for context, question, answer in facts
    ]
    path.write_text(json.dumps(entries))
    return path


async def test_the_whole_measurement_runs_with_hashed_words_and_the_scripted_engine(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAL_MODELS__EMBEDDER", "hash")
    monkeypatch.setenv("PAL_ENGINE__KIND", "scripted")
    report = await measure(data, 4, 0, 2, None)
    assert set(report["retrieval"]) == {"bm25", "vectors", "reciprocal rank", "fixed fusion", "ours"}
    assert report["retrieval"]["ours"]["at_5"] == 1
    assert report["citations"]["answer_in_3"] == 1
    assert report["abstention"]["auroc_support"] > 0.7
    answers = report["answers"]
    assert (answers["questions"], answers["left_out"]) == (2, 0)
    assert answers["ways"]["extracted, retrieved"]["contains"] == 1
    assert answers["paired"]["extracted, gold minus extracted, retrieved"]["contains"]["difference"] == 0
    assert json.loads(json.dumps(report)) == report
    show(report)
    shown = capsys.readouterr().out
    assert "fixed fusion" in shown
    assert "generated, gold" in shown


async def test_answers_that_take_too_long_are_left_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAL_MODELS__EMBEDDER", "hash")
    monkeypatch.setenv("PAL_ENGINE__KIND", "scripted")
    monkeypatch.setattr(qa_answers, "LIMIT_S", 0.0)
    with pytest.raises(TimeoutError, match="no question was answered within 0 s"):
        await measure(data, 4, 0, 2, None)
