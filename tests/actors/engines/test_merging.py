from actors.engines.merging import Merging


def steps(merging: Merging, adapters: set[str | None], count: int) -> None:
    for _ in range(count):
        merging.step(adapters)


def test_merges_when_one_adapter_has_served_long_enough() -> None:
    merging = Merging(3)
    steps(merging, {"a"}, 2)
    assert merging.wanted({"a"}) is None
    steps(merging, {"a"}, 1)
    assert merging.wanted({"a"}) == "a"
    assert merging.wanted({"a", None}) is None


def test_others_interrupt_the_count() -> None:
    merging = Merging(3)
    steps(merging, {"a"}, 2)
    steps(merging, {"a", "b"}, 1)
    steps(merging, {"a"}, 2)
    assert merging.wanted({"a"}) is None


def test_stays_while_nobody_asks_for_another_and_patience_grows() -> None:
    merging = Merging(2)
    steps(merging, {"a"}, 2)
    merging.became("a")
    assert merging.wanted(set()) == "a"
    assert merging.wanted({"a", None}) is None
    merging.became(None)
    steps(merging, {"a"}, 3)
    assert merging.wanted({"a"}) is None
    steps(merging, {"a"}, 1)
    assert merging.wanted({"a"}) == "a"


def test_never_where_patience_is_none() -> None:
    merging = Merging(0)
    steps(merging, {"a"}, 100)
    assert merging.wanted({"a"}) is None
