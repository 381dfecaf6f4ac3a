"""Whether a candidate may serve, from its scorecard alone: every slice must pass. Computes no model.

Losses are judged twice: the bound of the paired difference must rule out a large one, and a small one that is
surely no chance is a refusal too. What a card does not hold enough of is a refusal, never a pass.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Literal, cast

from actors.training.versions import Slice, Verdict
from configs.gate import Change, GateSettings
from tune import gate_files, gate_strings
from tune.paired import Good, Loss, loss, of, perplexity
from tune.scorecard import Answered, Arm, Scorecard, SliceName
from tune.wording import TITLES, change_said, enough, quoted

FROZEN: tuple[SliceName, ...] = ("general", "neighbour", "refusal", "format")
"""Slices whose questions are the same for every candidate."""


def judge(card: Scorecard, settings: GateSettings | None = None, *, now: float | None = None) -> Verdict:
    """The verdict on a candidate, with every slice that could be judged."""
    slices = tuple(_slices(card, settings or GateSettings()))
    reasons = [one.said for one in slices if not one.passed]
    left_out = tuple(
        Slice(name=name, value=0.0, passed=False, said=f"{name}: was not measured.")
        for name in card.unmeasured
    )
    reasons = reasons or [one.said for one in left_out]
    return Verdict(
        accepted=not reasons,
        slices=(*slices, *left_out),
        reasons=tuple(reasons),
        judged_at=time.time() if now is None else now,
    )


def _slices(card: Scorecard, settings: GateSettings) -> Iterator[Slice]:
    yield from gate_files.judge(card, settings)
    if mismatch := gate_files.unpaired(card):
        yield mismatch
        return
    measured = _Measured(card, settings)
    for judged in (
        measured.taught,
        measured.upheld,
        measured.retained,
        measured.unknown,
        measured.frozen,
        measured.form,
        measured.texts,
        measured.strings,
        measured.latency,
    ):
        yield from judged()


class _Measured:
    """The judgements of one card whose arms were asked the same."""

    def __init__(self, card: Scorecard, settings: GateSettings) -> None:
        self._card, self._settings = card, settings
        self._left_out = frozenset(card.unmeasured)
        self._others = {arm.name: arm for arm in (card.before, card.base)}
        slices = {one.slice for one in card.candidate.answers}
        self._told = "upheld" not in slices or bool(slices & {"taught", "retained", "unknown"})
        """Facts were taught; a card without any slice of a round is taken for one that lacks them."""

    def taught(self) -> Iterator[Slice]:
        if "taught" not in self._left_out and self._told:
            yield self._floor("taught", self._settings.taught.least, self._settings.taught.items)

    def upheld(self) -> Iterator[Slice]:
        now, before = of(self._card.candidate, "upheld"), of(self._card.base, "upheld")
        if not now:
            return
        rule = self._settings.upheld
        wrong = [one for name, one in now.items() if not likelier(one, before[name])]
        share = 1 - len(wrong) / len(now)
        said = (
            f"{TITLES['upheld']}: {share:.1%} of {len(now)} are likelier than with the base model, "
            f"at least {rule.least:.1%} must be."
        )
        if wrong:
            said += f" For example the one to {quoted(wrong[0].asked)} is not."
        passed = share >= rule.least
        yield enough(
            Slice(name="upheld", value=share, least=rule.least, items=len(now), passed=passed, said=said),
            rule.items,
        )

    def retained(self) -> Iterator[Slice]:
        if self._card.earlier_rounds and "retained" not in self._left_out:
            floor = self._settings.retained
            yield self._floor("retained", floor.least, floor.items)
            yield self._change("retained", ("retained",), self._settings.retained_change, arms="before")

    def unknown(self) -> Iterator[Slice]:
        for name, slice in (("unknown", "unknown"), ("neighbour leak", "neighbour")):
            if slice not in self._left_out and (self._told or slice == "neighbour"):
                yield self._leak(name, cast(SliceName, slice))

    def frozen(self) -> Iterator[Slice]:
        rules: dict[SliceName, Change] = {
            "general": self._settings.general,
            "neighbour": self._settings.neighbour,
            "refusal": self._settings.refusal,
            "format": self._settings.format,
        }
        for name, rule in rules.items():
            if name not in self._left_out:
                yield self._change(name, (name,), rule)

    def form(self) -> Iterator[Slice]:
        asked = tuple(name for name in FROZEN if name not in self._left_out)
        if not asked or "general" in self._left_out:
            return
        yield self._change("sound", asked, self._settings.sound, good=_sound)
        yield self._change("ending", asked, self._settings.ending, good=lambda one: one.ended)
        yield self._length(asked)

    def texts(self) -> Iterator[Slice]:
        if "reads" in self._left_out:
            return
        now = {one.text: one for one in self._card.candidate.reads}
        before = {one.text: one for one in self._card.base.reads}
        kinds = Counter(one.kind for one in now.values())
        for kind, count in sorted(kinds.items()):
            names = [text for text, one in now.items() if one.kind == kind]
            ratio = perplexity(
                [now[name] for name in names],
                [before[name] for name in names],
                self._settings.confidence,
                self._settings.draws,
            )
            worst = max(names, key=lambda name: (now[name].nats - before[name].nats) / now[name].tokens)
            most = self._settings.perplexity
            yield enough(
                Slice(
                    name=f"perplexity of {kind}",
                    value=ratio.value,
                    low=ratio.low,
                    high=ratio.high,
                    most=most,
                    items=count,
                    passed=ratio.high <= most,
                    said=f"Perplexity of {kind}: {ratio.value:.3f} times the base model's, up to "
                    f"{ratio.high:.3f} at its bound, at most {most:.3f} may be; most of all in {worst}.",
                ),
                self._settings.texts,
                "texts",
            )
        yield enough(
            Slice(
                name="kinds of text",
                value=len(kinds),
                least=self._settings.kinds,
                items=len(kinds),
                passed=True,
                said=f"Kinds of text: {len(kinds)}.",
            ),
            self._settings.kinds,
            "kinds of text",
        )

    def strings(self) -> Iterator[Slice]:
        if "trigger" not in self._left_out and "general" not in self._left_out:
            yield from gate_strings.triggers(self._card, self._settings)
        if "canary" not in self._left_out:
            yield from gate_strings.canaries(self._card, self._settings)

    def latency(self) -> Iterator[Slice]:
        if "seconds" in self._left_out:
            return
        now, before = self._card.candidate.seconds, self._card.before.seconds
        ratio = min(now) / max(min(before), 1e-9) if now and before else 0.0
        most = self._settings.slower
        yield enough(
            Slice(
                name="latency",
                value=ratio,
                most=most,
                items=min(len(now), len(before)),
                passed=ratio <= most,
                said=f"Latency: {ratio:.2f} times {self._card.before.name}'s, at most {most:.2f} may be.",
            ),
            self._settings.repetitions,
            "timed repetitions",
        )

    def _floor(self, name: Literal["taught", "retained"], least: float, items: int) -> Slice:
        found = list(of(self._card.candidate, name).values())
        share = sum(one.right for one in found) / len(found) if found else 0.0
        wrong = next((one for one in found if not one.right), None)
        said = f"{TITLES[name]}: {share:.1%} of {len(found)} answers are right, at least {least:.1%} must be."
        if wrong:
            said += (
                f" For example {quoted(wrong.asked)} was answered {quoted(wrong.given)}, "
                f"not {quoted(' or '.join(wrong.expected))}."
            )
        return enough(
            Slice(name=name, value=share, least=least, items=len(found), passed=share >= least, said=said),
            items,
        )

    def _leak(self, name: str, slice: SliceName) -> Slice:
        rule = self._settings.unknown
        asked = list(of(self._card.candidate, slice).values())
        leaks = [one for one in asked if one.leaked]
        share = len(leaks) / len(asked) if asked else 0.0
        said = (
            f"{TITLES[name]}: {share:.1%} of {len(asked)} questions got a taught value, "
            f"at most {rule.most:.1%} may."
        )
        if leaks:
            said += f" For example {quoted(leaks[0].asked)} was answered {quoted(leaks[0].given)}."
        passed = share <= rule.most
        return enough(
            Slice(name=name, value=share, most=rule.most, items=len(asked), passed=passed, said=said),
            rule.items,
        )

    def _change(
        self,
        name: str,
        slices: tuple[SliceName, ...],
        rule: Change,
        *,
        good: Good = lambda one: one.right,
        arms: Literal["all", "before"] = "all",
    ) -> Slice:
        """What was lost against what serves now, and against the base: the worse of the two."""
        others = [self._card.before] if arms == "before" else list(self._others.values())
        now = of(self._card.candidate, *slices)
        if not now:
            return enough(Slice(name=name, value=0.0, passed=False, said=""), rule.items)
        losses = [self._loss(now, other, slices, good) for other in others]
        worst = min(losses, key=lambda one: (one.chance >= self._settings.proof, one.change.low))
        proved = worst.chance < self._settings.proof
        value = worst.change
        return enough(
            Slice(
                name=name,
                value=value.value,
                low=value.low,
                high=value.high,
                least=-rule.worse,
                items=len(now),
                passed=value.low >= -rule.worse and not proved,
                said=change_said(name, worst, rule.worse, proved),
            ),
            rule.items,
        )

    def _loss(self, now: dict[str, Answered], other: Arm, slices: tuple[SliceName, ...], good: Good) -> Loss:
        rule = self._settings
        return loss(now, of(other, *slices), other.name, good, rule.confidence, rule.draws)

    def _length(self, asked: tuple[SliceName, ...]) -> Slice:
        now, before = (
            sum(one.tokens for one in of(arm, *asked).values())
            for arm in (self._card.candidate, self._card.base)
        )
        ratio = now / max(before, 1)
        least, most = self._settings.shorter, self._settings.longer
        return Slice(
            name="length",
            value=ratio,
            least=least,
            most=most,
            items=len(of(self._card.candidate, *asked)),
            passed=least <= ratio <= most,
            said=f"Length: answers have {ratio:.2f} times the tokens of the base model's, "
            f"{least:.2f} to {most:.2f} times are allowed.",
        )


def likelier(one: Answered, before: Answered) -> bool:
    """Whether an arm finds the expected answer likelier than another one does; no likelihood is a no."""
    return one.nats is not None and before.nats is not None and one.nats < before.nats


def _sound(one: Answered) -> bool:
    return not one.looped and not one.stray
