"""Ours beside the arms that need no language model, on texts of one kind; also at the length of ours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from actors.compression.words import split
from benchmarks.compression_answers import answers_kept, ratios
from benchmarks.compression_arms import HANDCRAFTED, OURS, STOP, SURPRISAL, Arm, Text
from benchmarks.compression_data import Case, questions
from benchmarks.compression_outcomes import Outcome, outcomes

AS_LONG = f"{STOP}, as long as ours"
"""What is protected may make ours longer than asked: the same peer, allowed as many tokens."""


def beside(cases: Sequence[Case], arms: Sequence[Arm], budgets: Sequence[float]) -> dict[str, Any]:
    """Answers kept and ratios, by arm and budget."""
    texts = [Text(case, np.zeros(len(split(case.text)), np.float32)) for case in cases]
    some = [arm for arm in arms if arm.name not in (SURPRISAL, HANDCRAFTED)]
    found = {key: list(rows) for key, rows in outcomes(some, texts, budgets).items()}
    stop = next(arm for arm in arms if arm.name == STOP)
    for budget in budgets:
        found[AS_LONG, budget] = as_long(stop, texts, found[OURS, budget])
    return {"texts": len(cases), "questions": questions(cases)} | {
        "kept": answers_kept(texts, found),
        "ratios": ratios(found),
    }


def as_long(arm: Arm, texts: Sequence[Text], others: Sequence[Outcome]) -> list[Outcome]:
    """`arm` with as many tokens of each text as another left of it."""
    length = {one.text: one.short.ratio for one in others}
    found: list[Outcome] = []
    for number, text in enumerate(texts):
        for rows in outcomes([arm], [text], [length[number]]).values():
            found += [replace(one, text=number) for one in rows]
    return found
