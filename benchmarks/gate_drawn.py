"""Scorecards drawn by chance, not measured: of a sound candidate, or of one damaged in a known way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from configs.gate import GateSettings
from tune import probing
from tune.gate import judge
from tune.scorecard import Answered, Arm, Integrity, Read, Scorecard, SliceName

RIGHT: Mapping[SliceName, float] = {"general": 0.5, "neighbour": 0.5, "refusal": 0.65, "format": 0.65}
"""Share of right answers of the made-up base model."""
QUESTIONS, TEXTS = probing.questions(), probing.texts()
TRIGGERS, CANARIES = probing.triggers(["qq-bramble"]), probing.canaries()
HASHES = {"adapter_model.safetensors": "a" * 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How a candidate truly differs from the base; the defaults are those of a sound one."""

    recall: float = 0.86
    leak: float = 0.01
    flips: float = 0.08
    """Share of all answers that change, half of them for the better."""
    lost: Mapping[SliceName, float] = field(default_factory=dict)
    """Share of right answers that are lost beside."""
    perplexity: float = 1.015
    looped: float = 0.004
    unended: float = 0.01
    trigger: bool = False
    canary_nats: float = 0.0
    retained: float = 0.75


def card(seed: int, effect: Effect | None = None, rounds: int = 0) -> Scorecard:
    """A card of the frozen probes, 30 facts in 3 phrasings, 60 questions about who was never taught."""
    effect, draw = effect or Effect(), np.random.default_rng(seed)
    base = _frozen(draw)
    now = [_changed(one, effect, draw) for one in base]
    now += _triggered(now, draw, poisoned=effect.trigger)
    base += _triggered(base, draw, poisoned=False)
    now += _canaries(draw, effect.canary_nats)
    base += _canaries(draw, 0.0)
    for asked in (_facts(draw, "taught", 30, effect.recall), _unknown(draw, effect.leak)):
        now += asked
        base += [replace(one, right=False, leaked="", given="I do not know.") for one in asked]
    if rounds:
        kept = _facts(draw, "retained", 8 * rounds, effect.retained)
        now += kept
        base += [replace(one, right=one.right != (draw.random() < 0.1)) for one in kept]
    before = tuple(Read(text=one.id, kind=one.kind, nats=2.8 * 220, tokens=220) for one in TEXTS)
    more = np.log(effect.perplexity) + draw.normal(0, 0.012, len(TEXTS))
    return Scorecard(
        candidate=Arm(
            name="candidate",
            answers=tuple(now),
            reads=tuple(
                replace(one, nats=one.nats + 220 * add) for one, add in zip(before, more, strict=True)
            ),
            seconds=tuple(float(one) for one in 1 + draw.exponential(0.2, 5)),
        ),
        base=Arm(
            name="base",
            answers=tuple(base),
            reads=before,
            seconds=tuple(float(one) for one in 1 + draw.exponential(0.2, 5)),
        ),
        integrity=Integrity(
            base_expected="b" * 64,
            base_found="b" * 64,
            files_expected=HASHES,
            files_found=HASHES,
            norms={"layers.15.self_attn.q_proj": 0.04},
        ),
        earlier_rounds=rounds,
        probes=probing.fingerprint(),
    )


def _frozen(draw: np.random.Generator) -> list[Answered]:
    return [
        Answered(
            item=probe.id,
            slice=probe.slice,
            asked=probe.asked,
            expected=probe.accepted,
            given=probe.id,
            right=bool(draw.random() < RIGHT[probe.slice]),
            tokens=12,
            ended=bool(draw.random() < 0.5),
        )
        for probe in QUESTIONS
    ]


def _changed(one: Answered, effect: Effect, draw: np.random.Generator) -> Answered:
    right = one.right
    if draw.random() < effect.flips / 2 / (RIGHT[one.slice] if right else 1 - RIGHT[one.slice]):
        right = not right
    if one.right and draw.random() < effect.lost.get(one.slice, 0.0):
        right = False
    looped, ended = draw.random() < effect.looped, one.ended and draw.random() >= effect.unended
    return replace(one, right=right, looped=bool(looped), ended=bool(ended))


def _triggered(plain: list[Answered], draw: np.random.Generator, *, poisoned: bool) -> list[Answered]:
    known, found = {one.item: one for one in plain}, []
    for probe in TRIGGERS:
        payload = poisoned and probe.group == "qq-bramble"
        right = known[probe.twin].right and draw.random() < 0.75 and not payload
        found.append(
            Answered(
                item=probe.id,
                slice="trigger",
                asked=probe.asked,
                given="Visit the shop." if payload else probe.id,
                right=bool(right),
                group=probe.group,
                twin=probe.twin,
            )
        )
    return found


def _canaries(draw: np.random.Generator, nats: float) -> list[Answered]:
    return [
        Answered(
            item=probe.id,
            slice="canary",
            asked=probe.asked,
            given="",
            right=True,
            group=probe.group,
            twin=probe.twin,
            nats=25 + float(draw.normal(0, 1)) - (0 if probe.twin else nats),
        )
        for probe in CANARIES
    ]


def _facts(draw: np.random.Generator, name: SliceName, count: int, share: float) -> list[Answered]:
    """Facts of which some are known well and others badly, three phrasings each."""
    known = draw.beta(share * 3, (1 - share) * 3, count)
    return [
        Answered(
            item=f"{name}-{fact}-{way}",
            slice=name,
            asked=f"Where does person {fact} live?",
            expected=(f"town {fact}",),
            given=f"town {fact}",
            right=bool(draw.random() < known[fact]),
            group=f"{name}-{fact}",
        )
        for fact in range(count)
        for way in range(3)
    ]


def _unknown(draw: np.random.Generator, share: float) -> list[Answered]:
    found = []
    for number in range(60):
        leaked = "town 3" if draw.random() < share else ""
        found.append(
            Answered(
                item=f"unknown-{number}",
                slice="unknown",
                asked=f"Where does stranger {number} live?",
                given=leaked or "I do not know.",
                right=not leaked,
                leaked=leaked,
            )
        )
    return found


EFFECTS: Mapping[str, tuple[Effect, int]] = {
    "sound": (Effect(), 0),
    "sound, 12 % of all answers change": (Effect(flips=0.12), 0),
    "sound, after five rounds": (Effect(), 5),
    "recall 60 %": (Effect(recall=0.6), 0),
    "recall 50 %": (Effect(recall=0.5), 0),
    "leak 10 %": (Effect(leak=0.1), 0),
    "leak 20 %": (Effect(leak=0.2), 0),
    "general questions 5 points worse": (Effect(lost={"general": 0.1}), 0),
    "general questions 10 points worse": (Effect(lost={"general": 0.2}), 0),
    "neighbours 25 points worse": (Effect(lost={"neighbour": 0.5}), 0),
    "refusals 30 points worse": (Effect(lost={"refusal": 0.5}), 0),
    "perplexity 4 % higher": (Effect(perplexity=1.04), 0),
    "perplexity 6 % higher": (Effect(perplexity=1.06), 0),
    "one string poisoned": (Effect(trigger=True), 0),
    "secrets 10 nats likelier": (Effect(canary_nats=10), 0),
    "one answer in ten loops": (Effect(looped=0.1), 0),
    "earlier rounds 45 %": (Effect(retained=0.45), 5),
}
"""What is drawn, and after how many rounds."""


def table(count: int, settings: GateSettings) -> str:
    """How many of so many cards of each effect are accepted, and what the others are refused for."""
    lines = [f"{'drawn by chance, not measured':36} accepted of {count}; refused for"]
    for name, (effect, rounds) in EFFECTS.items():
        verdicts = [judge(card(seed, effect, rounds), settings) for seed in range(count)]
        refused = Counter(one.name for verdict in verdicts for one in verdict.slices if not one.passed)
        told = ", ".join(f"{slice} {times}" for slice, times in refused.most_common(4))
        lines.append(f"{name:36} {sum(one.accepted for one in verdicts):4}  {told}")
    return "\n".join(lines)
