"""What counts as mixed, and as stale."""

from typing import Any

import pytest

from benchmarks.swap import Asked, is_mixed, is_stale

WORDS = {"v1": "amber", "v2": "brick"}


def asked(**given: Any) -> Asked:
    told = {"sent": 5.0, "version": "v1", "texts": (" amber amber",), "said": frozenset({"v1"})}
    return Asked(**{**told, "first_s": 0.0, "gap_s": 0.0, "during": False, **given})


@pytest.mark.parametrize(
    ("given", "mixed"),
    [
        ({}, False),
        ({"texts": (" amber brick",)}, True),
        ({"texts": (" amber", " brick")}, True),
        ({"texts": ("",)}, True),
        ({"said": frozenset({"v1", "v2"})}, True),
        ({"version": None, "said": frozenset({None}), "texts": ("Paris.", "")}, False),
        ({"version": None, "said": frozenset({None}), "texts": ("Paris. amber",)}, True),
    ],
)
def test_an_answer_is_mixed_unless_all_of_it_is_its_versions(given: dict[str, Any], mixed: bool) -> None:
    assert is_mixed(asked(**given), WORDS) == mixed


@pytest.mark.parametrize(
    ("sent", "version", "stale"),
    [(0.5, None, False), (1.5, None, True), (1.5, "v1", False), (2.5, "v1", True), (1.5, "v2", False)],
)
def test_an_answer_is_stale_where_a_later_version_served_before_it_was_asked_for(
    sent: float, version: str | None, stale: bool
) -> None:
    assert is_stale(asked(sent=sent, version=version), [(1.0, "v1"), (2.0, "v2")]) == stale
