"""Figures of one set of questions: answers kept, ratios met, likelihood recovered; with paired differences.

Legend: Q questions, in the order of their texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression_arms import ASKED, HANDCRAFTED, OURS, SURPRISAL, Text
from benchmarks.compression_outcomes import Outcomes, deviations
from benchmarks.compression_reader import Reader, Reading
from tune.bootstrap import Bootstrap

AGAINST = (SURPRISAL, HANDCRAFTED)
Floats = NDArray[np.float64]
Figure = dict[str, float]


def base(arm: str) -> str:
    """An arm's name without its seed."""
    return arm.split(" #")[0]


def answers_kept(texts: Sequence[Text], found: Outcomes) -> dict[str, Any]:
    """Shares of questions whose answer is still whole, by arm and budget, and how ours differ from peers."""
    draws = Bootstrap(documents(texts))
    kept = _over_seeds({key: np.array([one.kept for one in rows], float) for key, rows in found.items()})
    return {
        "by_arm": _tabled({key: draws.mean(values) for key, values in kept.items()}),
        "seeds": _seeds({key: float(np.mean([one.kept for one in rows])) for key, rows in found.items()}),
        "differences": _differences(kept, lambda mine, theirs: draws.mean(mine - theirs)),
    }


def ratios(found: Outcomes) -> dict[str, Any]:
    """The share of tokens left and how far it is from what was asked, by arm and budget.

    `fitting` are texts whose protected places take no more than the budget.
    """
    table: dict[str, Any] = {}
    for (arm, budget), rows in found.items():
        apart = deviations(rows, budget)
        fitting = deviations([one for one in rows if not one.short.over_budget], budget)
        some = {id(one.short): one.short for one in rows}.values()
        left = sum(one.after for one in some) / max(1, sum(one.before for one in some))
        table.setdefault(arm, {})[str(budget)] = {
            "achieved": round(left, 4),
            "mean": round(float(apart.mean()), 4) if len(apart) else 0.0,
            "max": round(float(apart.max()), 4) if len(apart) else 0.0,
            "max_fitting": round(float(fitting.max()), 4) if len(fitting) else 0.0,
            "too_far": int((apart > TOLERANCE).sum()),
            "over_budget": sum(one.over_budget for one in some),
            "texts": len(apart),
        }
    return table


TOLERANCE = 0.02
"""How far the share of tokens left may be from the one asked for."""


def likelihoods(
    texts: Sequence[Text], found: Outcomes, reader: Reader, budgets: Sequence[float]
) -> dict[str, Any]:
    """What each arm's text gives back of the likelihood that the whole text adds to the answers."""
    draws = Bootstrap(documents(texts))
    asked = [
        (number, question.text, question.answers[0])
        for number, text in enumerate(texts)
        for question in text.case.questions
    ]
    full = _losses(reader, [texts[number].case.text for number, _, _ in asked], asked)
    none = _losses(reader, [None] * len(asked), asked)
    gained: dict[tuple[str, float], Floats] = {}
    for (arm, budget), rows in found.items():
        if budget in budgets:
            gained[arm, budget] = none - _losses(reader, [one.short.text for one in rows], asked)
    gained = _over_seeds(gained)
    whole = none - full
    return {
        "questions": len(asked),
        "nats_without": round(float(none.mean()), 3),
        "nats_with_all": round(float(full.mean()), 3),
        "by_arm": _tabled({key: draws.ratio(values, whole) for key, values in gained.items()}),
        "differences": _differences(gained, lambda mine, theirs: draws.ratio(mine - theirs, whole)),
    }


def documents(texts: Sequence[Text]) -> list[str]:
    """The document of each question [Q]."""
    return [text.case.document for text in texts for _ in text.case.questions]


def _losses(reader: Reader, contexts: Sequence[str | None], asked: Sequence[tuple[int, str, str]]) -> Floats:
    """Nats of each answer [Q]; questions on the same context are read together."""
    places: dict[tuple[int, str | None], list[int]] = {}
    for place, (context, (number, _, _)) in enumerate(zip(contexts, asked, strict=True)):
        places.setdefault((number if context is not None else -1, context), []).append(place)
    readings = [
        Reading(context, tuple(asked[place][1:] for place in some)) for (_, context), some in places.items()
    ]
    nats = np.zeros(len(asked))
    for some, losses in zip(places.values(), reader.losses(readings), strict=True):
        nats[some] = losses
    return nats


def _over_seeds(values: Mapping[tuple[str, float], Floats]) -> dict[tuple[str, float], Floats]:
    """The mean over the seeds of each arm."""
    groups: dict[tuple[str, float], list[Floats]] = {}
    for (arm, budget), row in values.items():
        groups.setdefault((base(arm), budget), []).append(row)
    return {key: np.mean(rows, axis=0) for key, rows in groups.items()}


def _seeds(values: Mapping[tuple[str, float], float]) -> dict[str, dict[str, list[float]]]:
    """Each seed's own figure, where there are several."""
    table: dict[str, dict[str, list[float]]] = {}
    for (arm, budget), value in values.items():
        table.setdefault(base(arm), {}).setdefault(str(budget), []).append(round(value, 4))
    return {arm: row for arm, row in table.items() if any(len(some) > 1 for some in row.values())}


def _differences(values: Mapping[tuple[str, float], Floats], compare: Any) -> dict[str, dict[str, Figure]]:
    table: dict[str, dict[str, Figure]] = {}
    for (arm, budget), mine in values.items():
        if arm not in (OURS, ASKED):
            continue
        for (other, same), theirs in values.items():
            if same == budget and other not in (OURS, ASKED):
                table.setdefault(f"{arm} - {other}", {})[str(budget)] = compare(mine, theirs)
    return table


def _tabled(values: Mapping[tuple[str, float], Figure]) -> dict[str, dict[str, Figure]]:
    table: dict[str, dict[str, Figure]] = {}
    for (arm, budget), figure in values.items():
        table.setdefault(arm, {})[str(budget)] = figure
    return table
