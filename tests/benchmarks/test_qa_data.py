import json
from pathlib import Path

from benchmarks.qa_data import Place, holds_answer, load, rank_of_answer, sample

ENTRIES = [
    {
        "title": "Club",
        "context": "Ann Lee founded it.",
        "questions": [{"question": "Who?", "answers": ["Ann Lee"]}],
    },
    {
        "title": "Club",
        "context": "Ann Lee left.",
        "questions": [{"question": "Who left?", "answers": ["Ann Lee"]}],
    },
    {
        "title": "AC/DC",
        "context": "Ann Lee sang.",
        "questions": [{"question": "Who sang?", "answers": ["Ann"]}],
    },
]


def loaded(tmp_path: Path):  # type: ignore[no-untyped-def]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(ENTRIES))
    return load(path)


def test_paragraphs_are_joined_and_keep_their_places(tmp_path: Path) -> None:
    articles, asked = loaded(tmp_path)
    assert [one.filename for one in articles] == ["Club.txt", "AC DC.txt"]
    first, second = articles[0].paragraphs
    assert articles[0].text[slice(*first)] == ENTRIES[0]["context"]
    assert articles[0].text[slice(*second)] == ENTRIES[1]["context"]
    assert [(one.article, one.paragraph) for one in asked] == [(0, 0), (0, 1), (1, 0)]


def test_only_the_whole_answer_in_the_right_paragraph_of_the_right_document_counts(tmp_path: Path) -> None:
    articles, (_, left, _) = loaded(tmp_path)
    start, end = articles[0].paragraphs[1]
    assert holds_answer(articles, left, Place("Club.txt", start, end))
    assert holds_answer(articles, left, Place("Club.txt", start, start + 7))
    assert not holds_answer(articles, left, Place("Club.txt", start + 1, end))
    assert not holds_answer(articles, left, Place("Club.txt", 0, start))
    assert not holds_answer(articles, left, Place("AC DC.txt", start, end))
    places = [Place("Club.txt", 0, start), Place("Club.txt", 0, end)]
    assert rank_of_answer(articles, left, places) == 1
    assert rank_of_answer(articles, left, places[:1]) is None


def test_a_sample_is_fixed_by_its_seed(tmp_path: Path) -> None:
    _, asked = loaded(tmp_path)
    assert sample(asked, 2, 0) == sample(asked, 2, 0)
    assert sample(asked, 99, 5) == asked
