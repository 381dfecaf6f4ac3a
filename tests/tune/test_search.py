from pathlib import Path

import pytest

pytest.importorskip("optuna")

from configs.planned import Planned
from configs.sweep import plan
from tune.search import Search

SPACE = "space:\n  x1: {low: -5, high: 10}\n  x2: {low: 0, high: 15}\n"


def planned(folder: Path, more: str = "", space: str = SPACE) -> Planned:
    path = folder / "sweep.yaml"
    path.write_text(f"name: x\nobjective: branin\n{space}{more}")
    return plan(path)


def asked(search: Search, count: int) -> list[dict[str, float]]:
    """Settings in turn, each told what it is worth."""
    found = []
    for _ in range(count):
        number, values = search.ask()
        search.tell(number, [values["x1"] ** 2 + values["x2"]])
        found.append(values)
    return found


@pytest.mark.parametrize("method", ["random", "tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_what_is_chosen_is_a_function_of_the_seed_and_of_what_was_told(tmp_path: Path, method: str) -> None:
    one = planned(tmp_path, f"search: {{method: {method}, startup: 3}}\n")
    whole = asked(Search(one), 8)
    assert whole[0] == {"x1": 2.5, "x2": 7.5}
    again = Search(one)
    for number, values in enumerate(whole[:5]):
        assert again.ask(values) == (number, values)
        again.tell(number, [values["x1"] ** 2 + values["x2"]])
    assert asked(again, 3) == whole[5:]
    other = planned(tmp_path, f"search: {{method: {method}, startup: 3, seed: 1}}\n")
    assert asked(Search(other), 8)[1:] != whole[1:]


def test_a_grid_is_gone_through_once_with_values_of_any_kind(tmp_path: Path) -> None:
    space = "space:\n  noise: [0, 0.5]\n  x1: {low: 0, high: 0.7, step: 0.1}\n"
    one = planned(tmp_path, "search: {method: grid}\n", space)
    search = Search(one)
    assert search.trials == 16
    found = [search.ask()[1] for _ in range(search.trials)]
    assert found == one.grid()
    assert len({tuple(values.items()) for values in found}) == 16


def test_halving_ends_what_is_behind_and_lets_go_on_what_leads(tmp_path: Path) -> None:
    early = "early: {method: asha, first: 1, factor: 2}\nsearch: {method: random}\n"
    search = Search(planned(tmp_path, early))
    for value in (5.0, 1.0, 9.0):
        number, _ = search.ask()
        goes_on = search.report(number, 1, {"value": value})
        assert goes_on is (value != 9.0)
        search.tell(number, [value] if goes_on else None, pruned=not goes_on)
    assert search.best() == [1]
    assert search.report(search.ask()[0], 1, {"other": 9.0})


def test_another_figure_may_be_compared_on_the_way_the_other_way_round(tmp_path: Path) -> None:
    early = (
        "early: {method: asha, metric: 'true', direction: maximize, factor: 2}\nsearch: {method: random}\n"
    )
    search = Search(planned(tmp_path, early))
    kept = [search.report(search.ask()[0], 1, {"true": value}) for value in (5.0, 9.0, 1.0)]
    assert kept == [True, True, False]


def test_the_setting_that_matters_is_found_important(tmp_path: Path) -> None:
    search = Search(planned(tmp_path, "search: {method: random}\n"))
    assert search.importance() == {}
    for _ in range(40):
        number, values = search.ask()
        search.tell(number, [values["x1"] ** 2])
    assert search.importance()["x1"] > 0.8


def test_several_goals_have_a_front(tmp_path: Path) -> None:
    goals = "goals:\n  - {metric: value, direction: minimize}\n  - {metric: seconds, direction: minimize}\n"
    search = Search(planned(tmp_path, goals + "search: {method: random}\n"))
    for pair in ((1.0, 3.0), (3.0, 1.0), (3.0, 3.0)):
        search.tell(search.ask()[0], pair)
    assert search.best() == [0, 1]
