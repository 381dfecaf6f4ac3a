import pytest

from actors.compression.cost import ASSUMED_PREFILL_S, CostModel
from configs.schema import CompressionSettings


def model(**settings: object) -> CostModel:
    return CostModel(CompressionSettings.model_validate(settings))


def measured(prefill_us: float, compress_us: float, **settings: object) -> CostModel:
    made = model(**settings)
    made.prefilled(1000, 0, prefill_us / 1000)
    made.compressed(1000, compress_us / 1000)
    return made


def test_it_compresses_where_prefill_costs_more() -> None:
    plan = measured(prefill_us=900, compress_us=15).plan(0.5, 2000)
    assert not plan.bypass
    assert plan.budget == 0.5


def test_it_leaves_a_text_whole_where_compressing_costs_more_than_it_saves() -> None:
    plan = measured(prefill_us=20, compress_us=15).plan(0.5, 2000)
    assert plan.bypass
    assert plan.why == "it would take 30.00 ms and save 20.00 ms of prefill"


@pytest.mark.parametrize(("share", "bypass"), [(1.0, False), (0.5, False), (0.05, True)])
def test_the_setting_says_which_share_of_the_saving_it_may_cost(share: float, bypass: bool) -> None:
    assert measured(prefill_us=100, compress_us=15, cost_share=share).plan(0.5, 2000).bypass is bypass


def test_what_the_engine_has_cached_saves_nothing() -> None:
    cost = measured(prefill_us=100, compress_us=15)
    assert not cost.plan(0.5, 2000, cached_tokens=0).bypass
    assert not cost.plan(0.5, 2000, cached_tokens=600).bypass
    assert cost.plan(0.5, 2000, cached_tokens=800).bypass
    assert cost.plan(0.5, 2000, cached_tokens=2000).bypass


def test_short_texts_and_whole_budgets_are_left_alone() -> None:
    cost = measured(prefill_us=900, compress_us=1)
    assert cost.plan(0.5, 50).bypass
    assert not cost.plan(0.5, 51).bypass
    assert cost.plan(1, 5000).bypass


def test_force_compresses_all_but_a_whole_budget() -> None:
    cost = measured(prefill_us=1, compress_us=1000)
    assert not cost.plan(0.5, 10, force=True).bypass
    assert cost.plan(1, 5000, force=True).bypass


@pytest.mark.parametrize(("default", "tier"), [(0.5, 0.5), (0.35, 0.3), (0.4, 0.5), (0.9, 0.7)])
def test_auto_is_the_default_budgets_tier(default: float, tier: float) -> None:
    assert model(budget=default).plan("auto", 1000).budget == tier


def test_a_budget_that_is_asked_is_not_rounded() -> None:
    assert model().plan(0.43, 1000).budget == 0.43


def test_measurements_are_running_means() -> None:
    cost = model()
    assert cost.prefill_s == ASSUMED_PREFILL_S
    cost.prefilled(1000, 0, 1.0)
    assert cost.prefill_s == pytest.approx(1e-3)
    cost.prefilled(1100, 100, 2.0)
    assert cost.prefill_s == pytest.approx(1.2e-3)
    cost.compressed(1000, 0.01)
    assert cost.compress_s == pytest.approx(1e-5)


def test_a_moment_in_which_all_was_slow_passes() -> None:
    cost = measured(prefill_us=900, compress_us=15)
    cost.compressed(1000, 9.0)
    assert cost.compress_s == pytest.approx(15e-6 + 0.2 * (60e-6 - 15e-6))
    slow = measured(prefill_us=900, compress_us=900)
    assert slow.plan(0.5, 1000).bypass
    for _ in range(12):
        slow.passed_by()
    assert not slow.plan(0.5, 1000).bypass


def test_tiny_requests_are_no_measurements() -> None:
    cost = model()
    cost.prefilled(500, 450, 9.0)
    cost.compressed(10, 9.0)
    assert (cost.prefill_s, cost.compress_s) == (model().prefill_s, model().compress_s)


def test_a_setting_beats_the_measurement() -> None:
    cost = model(prefill_us=50)
    cost.prefilled(1000, 0, 1.0)
    assert cost.prefill_s == pytest.approx(5e-5)
