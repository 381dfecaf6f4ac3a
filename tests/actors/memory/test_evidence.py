import pytest

from actors.memory import evidence
from actors.memory.questions import analyse
from actors.memory.weights import REREAD, SENTENCE, SUPPORT
from actors.messages import Passage

DOCUMENT = (
    "Preface. The club was founded by Ann Lee in 1850. It grew fast. Rain fell on the hills of the west."
)
QUESTION = analyse("Who founded the club?", {})


def passage(start: int, end: int, score: float = 1.0, name: str = "club.txt") -> Passage:
    return Passage(
        document_id=f"file-{name}",
        filename=name,
        start=start,
        end=end,
        text=DOCUMENT[start:end],
        score=score,
        parts={"cosine": 0.6, "placed": 0.9},
    )


def test_sentences_have_the_documents_offsets() -> None:
    found = evidence.sentences_of(QUESTION, [passage(9, len(DOCUMENT))])
    assert [one.text for one in found] == [DOCUMENT[one.start : one.end] for one in found]
    assert found[0].text.startswith("The club")
    assert len(found) == 3


def test_a_sentence_in_two_overlapping_passages_is_one() -> None:
    assert len(evidence.sentences_of(QUESTION, [passage(9, 60), passage(9, 60, 0.5)])) == 2


def test_a_text_without_sentence_ends_is_not_quoted() -> None:
    text = "word " * 400
    long = Passage(document_id="f", filename="f", start=0, end=len(text), text=text, score=1.0)
    assert evidence.sentences_of(QUESTION, [long]) == []


def test_the_shortlist_keeps_what_shares_words_and_the_order() -> None:
    found = evidence.sentences_of(QUESTION, [passage(0, len(DOCUMENT))])
    short = evidence.shortlist(found, 2)
    assert len(short) == 2
    assert any("Ann Lee" in one.text for one in short)
    assert [one.start for one in short] == sorted(one.start for one in short)


def test_the_shortlist_takes_of_each_passage_one_before_a_second() -> None:
    found = evidence.sentences_of(QUESTION, [passage(9, 63), passage(64, len(DOCUMENT), 0.1)])
    assert [one.passage for one in found] == [0, 0, 1]
    assert {one.passage for one in evidence.shortlist(found, 2)} == {0, 1}


def test_a_passage_with_a_sentence_near_the_question_comes_first() -> None:
    passages = [passage(0, 60, 1.0), passage(0, 60, 0.9, "other.txt"), passage(0, 60, 0.8, "third.txt")]
    found = evidence.sentences_of(analyse("What about it?", {}), passages)
    near = [0.9 if one.filename == "other.txt" else 0.1 for one in found]
    compared = evidence.with_cosines(found, near)
    assert {*evidence.reread_features(passages, compared)[0]} == {*REREAD}
    best, ranked = evidence.reread(passages, compared, 2)
    assert [one.filename for one in best] == ["other.txt", "club.txt"]
    assert best[0].score > best[1].score
    assert {(one.filename, one.passage) for one in ranked} == {("other.txt", 0), ("club.txt", 1)}
    assert {one.values["passage"] for one in ranked if one.passage == 0} == {0}
    scores = [evidence.score(one.values) for one in ranked]
    assert scores == sorted(scores, reverse=True)


def test_a_passage_without_a_compared_sentence_counts_as_the_farthest() -> None:
    passages = [passage(0, 60), passage(0, 60, 0.9, "other.txt")]
    compared = evidence.with_cosines(evidence.sentences_of(QUESTION, passages[:1]), [0.4, 0.7, 0.2])
    assert [one["sentence"] for one in evidence.reread_features(passages, compared)] == [0.7, 0.7]
    assert evidence.reread_features(passages, [])[0]["sentence"] == 0
    assert evidence.reread([], [], 3) == ([], [])


def test_the_answering_sentence_is_best_and_shares_add_up() -> None:
    found = evidence.sentences_of(QUESTION, [passage(0, len(DOCUMENT))])
    ranked = evidence.with_cosines(found, [0.5] * len(found))
    assert "Ann Lee" in ranked[0].text
    assert set(ranked[0].values) >= set(SENTENCE)
    shares = evidence.shares(ranked)
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_a_better_cosine_lifts_a_sentence() -> None:
    found = evidence.sentences_of(analyse("What about it?", {}), [passage(0, len(DOCUMENT))])
    ranked = evidence.with_cosines(found, [0.0, 0.0, 0.0, 1.0])
    assert ranked[0].text.startswith("Rain")


def test_cosines_must_fit_the_sentences() -> None:
    with pytest.raises(ValueError, match="0 sentences and 1 cosines"):
        evidence.with_cosines([], [0.1])


def test_support_rises_with_every_feature_and_stays_a_probability() -> None:
    ranked = evidence.with_cosines(evidence.sentences_of(QUESTION, [passage(0, 48)]), [0.1, 0.7])
    values = evidence.support_features([passage(0, 60)], ranked)
    assert set(values) | {"bias"} == set(SUPPORT)
    nothing = evidence.support(dict.fromkeys(values, 0.0))
    everything = evidence.support(dict.fromkeys(values, 1.0))
    assert 0 <= nothing < evidence.support(values) < everything <= 1
    assert nothing < 0.01 < 0.99 < everything


def test_no_passages_no_support() -> None:
    assert evidence.support(evidence.support_features([], [])) < 0.01
    assert evidence.shares([]) == []
