"""Whether a candidate is what it says it is, and its scorecard whole. Judges no answer."""

import math
from collections.abc import Iterator

from actors.training.versions import Slice
from configs.gate import GateSettings
from tune.scorecard import ALONE, Arm, Scorecard


def judge(card: Scorecard, settings: GateSettings) -> Iterator[Slice]:
    """Files, base model, numbers and size of the change."""
    found = card.integrity
    changed = sorted(
        name
        for name in found.files_expected.keys() | found.files_found.keys()
        if found.files_expected.get(name) != found.files_found.get(name)
    )
    problems = (*found.problems, *(f"{name} is not the file of the manifest" for name in changed))
    yield _slice("files", not problems, f"Files: {'; '.join(problems) or 'as the manifest says'}.")
    yield _slice(
        "base model",
        found.base_found == found.base_expected,
        f"Base model: trained on {found.base_found[:12] or 'none'}, to serve on {found.base_expected[:12]}.",
    )
    strange = next(_strange(card.candidate), "")
    if not found.finite:
        strange = "weights that are no numbers"
    yield _slice("numbers", not strange, f"Numbers: {strange or 'all are finite'}.")
    if found.norms:
        layer = max(found.norms, key=lambda name: _size(found.norms[name]))
        size = _size(found.norms[layer])
        yield Slice(
            name="size of the change",
            value=size,
            most=settings.norm,
            items=len(found.norms),
            passed=size <= settings.norm,
            said=f"Size of the change: {size:.3f} times the weights of {layer}, "
            f"at most {settings.norm:.3f} may be.",
        )


def unpaired(card: Scorecard) -> Slice | None:
    """Why the arms cannot be compared: they were not asked and did not read the very same; else None."""
    for arm in card.arms:
        if len({one.item for one in arm.answers}) != len(arm.answers):
            return _slice("items", False, f"Items: two of {arm.name} have the same id.")
    for arm in card.arms[1:]:
        if odd := _asked(card.candidate) ^ _asked(arm):
            return _slice(
                "items", False, f"Items: {arm.name} was not asked the same, e.g. {sorted(odd)[0][1]}."
            )
    if odd_texts := _read(card.candidate) ^ _read(card.base):
        return _slice(
            "items", False, f"Items: the base did not read the same, e.g. {sorted(odd_texts)[0][1]}."
        )
    return None


def _asked(arm: Arm) -> set[tuple[str, str]]:
    return {(one.slice, one.item) for one in arm.answers if one.slice not in ALONE}


def _read(arm: Arm) -> set[tuple[str, str, int]]:
    return {(one.kind, one.text, one.tokens) for one in arm.reads}


def _strange(arm: Arm) -> Iterator[str]:
    """Figures of an arm that are no numbers."""
    for answer in arm.answers:
        if answer.nats is not None and not math.isfinite(answer.nats):
            yield f"the likelihood of an answer is none ({answer.item})"
    for read in arm.reads:
        if not math.isfinite(read.nats) or read.tokens < 1:
            yield f"the likelihood of a text is none ({read.text})"
    if not all(math.isfinite(one) for one in arm.seconds):
        yield "a time is none"


def _size(norm: float) -> float:
    return norm if math.isfinite(norm) else math.inf


def _slice(name: str, passed: bool, said: str) -> Slice:
    return Slice(name=name, value=float(passed), least=1.0, items=1, passed=passed, said=said)
