import math
from collections.abc import Sequence

import numpy as np
import pytest

from actors.memory.held import Held, Turn
from actors.memory.ranker import SHIPPED, Ranker
from actors.memory.recollection import FIRST, SECOND, recollect
from actors.memory.signals import KERNEL, Neighbourhood
from actors.memory.source import Vectors
from actors.models.encoder import HashEncoder

DAY_S = 86400.0
SAID = [
    (0, "Ada", "Hey Ben, how was your weekend?"),
    (0, "Ben", "I took a pottery class on Saturday and made a blue bowl."),
    (0, "Ada", "Wow, who teaches you?"),
    (0, "Ben", "A patient old sculptor named Mrs. Albers."),
    (1, "Ada", "My sister Lou moved to Galway last month."),
    (1, "Ben", "That is far away! Do you visit her?"),
    (1, "Ada", "Yes, by ferry, and we eat oysters at the harbour."),
    (2, "Ben", "The rain kept me indoors, so I read a long novel."),
    (2, "Ada", "I planted tomatoes on the balcony."),
    (2, "Ben", "Take care, talk to you soon!"),
]


def turns(said: Sequence[tuple[int, str, str]] = SAID) -> list[Turn]:
    return [
        Turn(f"t{place}", session, place, speaker, text, session * DAY_S * 3 + place)
        for place, (session, speaker, text) in enumerate(said)
    ]


def vectors(texts: Sequence[str]) -> Vectors:
    encoder = HashEncoder()
    return encoder.vectors(encoder.tokens(list(texts)))


def held(said: Sequence[tuple[int, str, str]] = SAID, *, embedded: bool = True) -> Held:
    return Held(turns(said), vectors([text for _, _, text in said]) if embedded else None)


def found(source: Held, query: str, limit: int = 3) -> list[str]:
    vector = vectors([query])[0]
    return [source.turns[one.row].id for one in recollect(source, query, vector, limit)]


def test_what_was_said_in_the_questions_words_comes_first() -> None:
    assert found(held(), "Where did Ada plant tomatoes?")[0] == "t8"


def test_a_turn_is_found_by_the_words_of_its_neighbours() -> None:
    assert "t3" in found(held(), "Who teaches Ben's pottery class?")


def test_the_speaker_asked_about_goes_before_the_other() -> None:
    said = [(0, "Ada", "I adopted a kitten."), (1, "Ben", "I adopted a kitten.")]
    assert found(held(said), "Did Ben adopt a kitten?", 1) == ["t1"]
    assert found(held(said), "Did Ada adopt a kitten?", 1) == ["t0"]


def test_words_alone_rank_where_there_are_no_vectors() -> None:
    source = held(embedded=False)
    assert [one.row for one in recollect(source, "tomatoes on the balcony", None, 1)] == [8]
    some = recollect(source, "tomatoes on the balcony", vectors(["tomatoes"])[0], 10)
    assert some[0].row == 8
    assert all(math.isfinite(one.score) for one in some)


def test_only_allowed_rows_are_returned_and_the_others_touch_no_score() -> None:
    said = [*SAID, (3, "Ada", "The secret harbour has oysters and a ferry."), (3, "Ben", "Oysters again!")]
    query, vector = "oysters at the harbour", vectors(["oysters at the harbour"])[0]
    hidden = held(said)
    hidden.allowed = np.array([turn.session < 3 for turn in hidden.turns])
    other = held([*SAID, (3, "Ada", "Something else that is as long as."), (3, "Ben", "Nothing here.")])
    other.allowed = hidden.allowed
    hidden_scores = [(one.row, one.score) for one in recollect(hidden, query, vector, 20)]
    other_scores = [(one.row, one.score) for one in recollect(other, query, vector, 20)]
    assert sorted(row for row, _ in hidden_scores) == list(range(len(SAID)))
    assert dict(hidden_scores) == pytest.approx(dict(other_scores), abs=1e-3)


def test_a_long_silence_parts_neighbours() -> None:
    said = [turn for turn in turns() if turn.session == 0]
    parted = [
        Turn(turn.id, 0, turn.ordinal, turn.speaker, turn.text, turn.said_at + DAY_S * (turn.ordinal > 2))
        for turn in said
    ]
    near, far = Held(said, None), Held(parted, None)
    query = "Who teaches you?"
    assert _parts(near, query, 3)["window"] > 0
    assert _parts(far, query, 3)["window"] == 0


def test_parts_name_every_feature_and_the_score_is_their_weighted_sum() -> None:
    first = recollect(held(), "oysters by the ferry", vectors(["oysters"])[0], 1)[0]
    assert set(first.parts) == {*FIRST, *SECOND}
    total = sum(weight * first.parts[name] for name, weight in SHIPPED.second.items())
    assert first.score == pytest.approx(total, rel=1e-3, abs=1e-3)


def test_the_limit_holds_and_nothing_is_asked_of_nothing() -> None:
    source = held()
    assert len(found(source, "anything", 4)) == 4
    assert recollect(source, "anything", None, 0) == []
    source.allowed = np.zeros(len(SAID), np.bool_)
    assert recollect(source, "anything", None, 5) == []
    assert recollect(Held([], None), "anything", None, 5) == []


@pytest.mark.parametrize("query", ["", "?", "the of", "Ada", '"; DROP', "x" * 3000])
def test_any_query_ranks(query: str) -> None:
    assert len(recollect(held(), query, vectors([query])[0], 10)) == 10


def test_one_memory_ranks() -> None:
    assert found(held(SAID[:1]), "weekend") == ["t0"]


def test_hop_two_came_by_the_second_round() -> None:
    upside_down = Ranker(first=SHIPPED.first, second={"standing": -1.0})
    ranked = recollect(held(), "oysters", None, 3, upside_down)
    assert {one.hop for one in ranked} == {2}
    assert {one.hop for one in recollect(held(), "oysters", None, 10)} == {1}


def _parts(source: Held, query: str, row: int) -> dict[str, float]:
    return next(dict(one.parts) for one in recollect(source, query, None, 10) if one.row == row)


def test_values_beside_and_spread_at_rows_are_those_of_all_rows() -> None:
    source = held()
    near = Neighbourhood(source.columns, source.allowed)
    values = np.arange(1, len(source.turns) + 1, dtype=np.float32)
    rows = np.arange(len(values))
    spread = near.spread(values, KERNEL)
    assert near.spread_at(values, rows, KERNEL).tolist() == spread.tolist()
    touched, found = near.around(rows, values, KERNEL)
    assert (touched.tolist(), found.tolist()) == (rows.tolist(), spread.tolist())
    assert near.beside(np.ones_like(values), rows, -1).tolist() == near.linked[1].tolist()
    after = near.beside(np.ones_like(values), rows, 1)
    assert after.tolist() == [*near.linked[1][1:].tolist(), 0]
