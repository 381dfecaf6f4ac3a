from collections import Counter

from benchmarks.corrections import OWN, _said, corrections, drawn, records
from tune.compared import OF_CORRECTION
from tune.learnable import Gatherer


def test_every_correction_is_learnable_and_its_answer_tells_itself_apart() -> None:
    every = [one for rows in corrections().values() for one in rows]
    gatherer = Gatherer("ann")
    for record in records(every, ["I do not know."] * len(every), len(OWN)):
        record.pop("user")
        gatherer.take(record)
    found = gatherer.done()
    assert found.quarantined == ()
    assert (len(found.examples), len(found.facts)) == (len(every), len(OWN))
    assert {one.id for one in found.preferences} == {one.id + OF_CORRECTION for one in every}
    for one in every:
        assert one.holds.casefold() in one.answer.casefold()
        assert len({one.asked, *one.other, *one.beside}) == 5
        assert not any(one.holds.casefold() in text.casefold() for text in (*one.other, *one.beside))
    assert sum(bool(one.before) for one in every) == 4


def test_a_draw_has_all_kinds_and_is_the_same_each_time() -> None:
    six = drawn(6, 0)
    assert six == drawn(6, 0) != drawn(6, 1)
    assert len({one.id.rpartition("-")[0] for one in six}) == 6
    assert max(Counter(one.id for one in drawn(20, 1)).values()) == 1
    assert len(drawn(1000, 0)) == sum(map(len, corrections().values()))


def test_a_row_is_told_with_its_verdict() -> None:
    row = {
        "count": 6, "facts": 0, "seed": 0, "same": [0, 1], "other": [0, 0.5], "beside": [0, 0],
        "beside_moved": 0.5, "perplexity": {"prose": 1.01}, "slices": {"upheld": 1.0}, "short": [0.4, 0.5],
        "steps": 30.0, "learn_seconds": 20.0, "cpu_seconds": 90.0, "accepted": False, "reasons": ["Too bad."],
    }  # fmt: skip
    assert "0.00 -> 1.00, in other words 0.00 -> 0.50" in _said(row)
    assert "prose +1.0%" in _said(row)
    assert _said(row).endswith("refused: Too bad.")
    assert _said({**row, "accepted": True}).endswith("accepted")
