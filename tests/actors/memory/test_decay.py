import numpy as np

from actors.memory.decay import DAY_S, strength

NOW = 1.7e9


def after(days: float, importance: float = 0.0, uses: int = 0, pinned: bool = False) -> float:
    return float(strength(importance, uses, NOW - days * DAY_S, NOW, 90, pinned))


def test_strength_is_halved_every_half_life_and_never_negative_or_above_one() -> None:
    assert after(0) == 1
    assert after(90) == 0.5
    assert after(180) == 0.25
    assert after(-5) == 1
    assert 0 <= after(1e6) < 1e-6


def test_weight_and_use_slow_it_and_a_pin_stops_it() -> None:
    assert after(90, importance=1) == after(30) == after(90, uses=3)
    assert after(90, uses=1) > after(90)
    assert after(1e6, pinned=True) == 1


def test_a_users_memories_are_weighed_at_once() -> None:
    since = NOW - DAY_S * np.array([0.0, 90.0, 90.0])
    assert strength(0.0, 0, since, NOW, 90, [False, False, True]).tolist() == [1, 0.5, 1]
