"""The bars and whether a report meets them. Knows no way to measure."""

from collections.abc import Mapping
from typing import Any

from benchmarks.compression_answers import AGAINST, TOLERANCE
from benchmarks.compression_arms import OURS, STOP
from benchmarks.compression_beside import AS_LONG
from benchmarks.compression_retrieval import GATHERED

KEPT = {"0.5": 0.72, "0.3": 0.50}
RECOVERED = 0.87
FASTER, SHARE = 1.6, 0.05
Bars = dict[str, dict[str, Any]]


def verdict(report: Mapping[str, Any]) -> Bars:
    """Each bar with its value and whether it is met; only those that were measured."""
    bars = _kept(report["kept"]) | _exact(report)
    if "reader" in report:
        bars |= _recovered(report["reader"])
    bars |= _domains(report["domains"])
    if "serve" in report:
        bars |= _served(report["serve"])
    if "retrieval" in report:
        bars |= _retrieved(report["retrieval"])
    return bars


def _kept(kept: Mapping[str, Any]) -> Bars:
    bars: Bars = {}
    for budget, bar in KEPT.items():
        value = kept["by_arm"][OURS][budget]["value"]
        bars[f"answers kept at {budget}"] = {"value": value, "bar": bar, "met": value >= bar}
        bars |= _above(kept["differences"], budget, "answers kept")
    return bars


def _recovered(reader: Mapping[str, Any]) -> Bars:
    if "0.5" not in reader["by_arm"][OURS]:
        return {}
    value = reader["by_arm"][OURS]["0.5"]["value"]
    bars: Bars = {
        "likelihood recovered at 0.5": {"value": value, "bar": RECOVERED, "met": value >= RECOVERED}
    }
    return bars | _above(reader["differences"], "0.5", "likelihood")


def _above(differences: Mapping[str, Any], budget: str, what: str) -> Bars:
    """Ours must differ from each peer for the better, with the whole interval above 0."""
    bars: Bars = {}
    for peer in AGAINST:
        figure = differences[f"{OURS} - {peer}"][budget]
        bars[f"{what} at {budget}, above {peer} (low end)"] = {
            "value": figure["low"],
            "bar": 0.0,
            "met": figure["low"] > 0,
        }
    return bars


def _exact(report: Mapping[str, Any]) -> Bars:
    rows = report["ratios"][OURS].values()
    worst, fitting = (max(row[name] for row in rows) for name in ("max", "max_fitting"))
    share = report["protected"]["share"]
    return {
        "asked and achieved share, largest distance": _at_most(worst, TOLERANCE),
        "the same, where what is protected fits the budget": _at_most(fitting, TOLERANCE),
        "protected places intact": {"value": share, "bar": 1.0, "met": share == 1.0},
    }


def _at_most(value: float, bar: float) -> dict[str, Any]:
    return {"value": value, "bar": bar, "met": value <= bar}


def _domains(domains: Mapping[str, Any]) -> Bars:
    bars: Bars = {}
    for name, one in domains.items():
        arms = one["kept"]["by_arm"]
        least = min(arms[OURS][budget]["value"] - arms[STOP][budget]["value"] for budget in arms[OURS])
        long = min(arms[OURS][budget]["value"] - arms[AS_LONG][budget]["value"] for budget in arms[OURS])
        bars[f"{name}: above stop words dropped, least"] = {"value": least, "bar": 0.0, "met": least >= 0}
        bars[f"{name}: the same, as long as ours"] = {"value": long, "bar": 0.0, "met": long >= 0}
    return {name: bar | {"value": round(bar["value"], 4)} for name, bar in bars.items()}


def _served(serve: Mapping[str, Any]) -> Bars:
    faster, share = serve["faster_at_2k"], serve["compressor_share"]
    return {
        "time to first token at 2k, times faster": {"value": faster, "bar": FASTER, "met": faster >= FASTER},
        "compressor's share of the prefill saved": _at_most(share, SHARE),
        "never slower": {"value": serve["slowest"], "bar": 1.0, "met": serve["never_slower"]},
    }


def _retrieved(retrieval: Mapping[str, Any]) -> Bars:
    """Documents must gain, with the whole interval above 0; memories must not lose for sure."""
    bars: Bars = {}
    for name, rows in retrieval.items():
        for size, row in rows["differences"][GATHERED].items():
            met = row["low"] > 0 if name == "documents" else row["high"] >= 0
            bars[f"{name} at {size} tokens, {GATHERED}, less plain"] = row | {"bar": 0.0, "met": met}
    return bars
