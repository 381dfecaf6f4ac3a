from actors.memory.asking import Asked
from actors.memory.currency import State, ordered

HOME = (Asked("user", "home"),)


def state(memory: int, value: str, ended_by: int | None = None, **other) -> State:
    told = {"subject": "user", "slot": "home", "says": True, "valid_from": float(memory)} | other
    return State(memory=memory, value=value, ended_by=ended_by, **told)


def numbers(*arguments) -> list[int]:
    return [one.number for one in ordered(*arguments)]


def test_without_facts_the_ranker_keeps_its_order() -> None:
    ranked = [(3, 2.0), (1, 1.0), (2, 0.5)]
    placed = ordered(ranked, [], ())
    assert [(one.number, one.score) for one in placed] == ranked
    assert {one.why for one in placed} == {""}


def test_what_holds_comes_first_even_where_ranking_missed_it() -> None:
    states = [state(1, "Porto", ended_by=2), state(2, "Graz")]
    placed = ordered([(7, 2.0), (1, 1.0)], states, HOME)
    assert [one.number for one in placed] == [2, 7, 1]
    assert placed[0].why == "says what home is"
    assert [one.score for one in placed] == sorted((one.score for one in placed), reverse=True)


def test_the_newest_of_restatements_comes_first() -> None:
    assert numbers([(1, 2.0), (2, 1.0)], [state(1, "Porto"), state(2, "Porto")], HOME) == [2, 1]


def test_what_ended_never_stands_before_what_ended_it() -> None:
    states = [state(1, "Porto", ended_by=2), state(2, "Graz", ended_by=3), state(3, "Bergen")]
    assert numbers([(1, 3.0), (2, 2.0), (9, 1.0)], states, ()) == [3, 1, 2, 9]


def test_a_memory_that_states_something_else_that_holds_keeps_its_place() -> None:
    states = [state(1, "Porto", ended_by=2), state(1, "blue", slot="favorite color"), state(2, "Graz")]
    assert numbers([(1, 3.0), (2, 2.0)], states, ()) == [1, 2]


def test_of_the_past_the_ended_value_comes_first() -> None:
    states = [state(1, "Porto", ended_by=2), state(2, "Graz")]
    placed = ordered([(2, 3.0), (1, 2.0)], states, (Asked("user", "home", past=True),))
    assert [one.number for one in placed] == [1, 2]
    assert placed[0].why == "says what home was"


def test_where_nothing_holds_the_retraction_comes_first() -> None:
    states = [state(1, "Porto", ended_by=2), state(2, "Porto", says=False)]
    placed = ordered([(1, 3.0)], states, HOME)
    assert [one.number for one in placed] == [2, 1]
    assert placed[0].why == "says what home is no longer"


def test_the_first_question_that_finds_a_value_decides() -> None:
    states = [state(1, "12 Elm Road", slot="address"), state(2, "Graz")]
    asked = (Asked("user", "home"), Asked("user", "address"))
    assert numbers([(1, 3.0), (2, 2.0)], states, asked) == [2, 1]
    assert numbers([(1, 3.0), (2, 2.0)], states, asked[::-1]) == [1, 2]


def test_statements_that_end_each_other_in_a_ring_do_no_harm() -> None:
    states = [state(1, "Porto", ended_by=2), state(2, "Graz", ended_by=1)]
    assert sorted(numbers([(1, 3.0), (2, 2.0)], states, ())) == [1, 2]
