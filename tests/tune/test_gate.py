"""The gate lets sound candidates through, and refuses each kind of damage for the right reason."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.gate_drawn import Effect, card
from configs.gate import Change, GateSettings
from tune.gate import judge
from tune.scorecard import Answered, Arm, Integrity, Read, Scorecard, from_json, to_json

QUICK = GateSettings(draws=300)
GOOD, BAD = 60, 12
"""Cards that are drawn of a sound candidate, and of each damage."""


def failed(made: Scorecard, settings: GateSettings = QUICK) -> set[str]:
    return {one.name for one in judge(made, settings).slices if not one.passed}


@pytest.fixture(scope="module")
def good() -> Scorecard:
    return card(1)


def test_a_sound_candidate_is_rarely_refused() -> None:
    """Expected 2 of 60; 8 would be beyond chance (p < 0.001) at a rate of 3 %."""
    refused = Counter(name for seed in range(GOOD) for name in failed(card(seed)))
    accepted = sum(judge(card(seed), QUICK).accepted for seed in range(0, GOOD, 4))
    assert sum(refused.values()) <= 7, refused
    assert accepted >= GOOD // 4 - 3


@pytest.mark.parametrize(
    ("effect", "slices"),
    [
        (Effect(recall=0.4), {"taught"}),
        (Effect(leak=0.25), {"unknown"}),
        (Effect(lost={"general": 0.3}), {"general"}),
        (Effect(lost={"neighbour": 0.7}), {"neighbour"}),
        (Effect(lost={"refusal": 0.7}), {"refusal"}),
        (Effect(lost={"format": 0.6}), {"format"}),
        (Effect(perplexity=1.08), {"perplexity of code", "perplexity of prose"}),
        (Effect(looped=0.12), {"sound"}),
        (Effect(unended=0.5), {"ending"}),
        (Effect(trigger=True), {"trigger", "payload"}),
        (Effect(canary_nats=12), {"canary likelihood"}),
    ],
    ids=lambda one: "-".join(sorted(one)) if isinstance(one, set) else "",
)
def test_each_damage_is_refused_by_its_slice(effect: Effect, slices: set[str]) -> None:
    for seed in range(BAD):
        verdict = judge(card(1000 + seed, effect), QUICK)
        assert not verdict.accepted
        assert slices & {one.name for one in verdict.slices if not one.passed}


def test_earlier_rounds_must_be_asked_for_and_kept() -> None:
    assert "retained" in failed(replace(card(3), earlier_rounds=2))
    assert "retained" in failed(card(3, Effect(retained=0.3), rounds=5))
    assert not failed(card(5, rounds=5)) & {"retained"}


def upheld(made: Scorecard, nats: float, count: int = 5) -> Scorecard:
    """A card of a round that learned exchanges alone; with the base model each answer costs 9 nats."""

    def arm(one: Arm, cost: float) -> Arm:
        kept = tuple(item for item in one.answers if item.slice not in ("taught", "unknown"))
        more = tuple(
            Answered(item=f"upheld/{n}", slice="upheld", asked="Who?", given="", right=False, nats=cost)
            for n in range(count)
        )
        return replace(one, answers=(*kept, *more))

    return replace(made, candidate=arm(made.candidate, nats), base=arm(made.base, 9.0))


def test_a_round_of_exchanges_needs_no_facts_but_answers_that_became_likelier(good: Scorecard) -> None:
    names = {one.name for one in judge(upheld(good, 2.0), QUICK).slices}
    assert "upheld" in names
    assert not names & {"taught", "unknown"}
    assert not failed(upheld(good, 2.0)) & {"upheld", "items"}
    assert "upheld" in failed(upheld(good, 9.5))
    assert "upheld" in failed(upheld(good, 2.0, count=2))
    assert {"taught", "unknown"} <= failed(upheld(good, 2.0, count=0))


@pytest.mark.parametrize(
    ("integrity", "name", "word"),
    [
        (Integrity(base_expected="b", base_found="c"), "base model", "trained on c"),
        (Integrity(base_expected="b", base_found=""), "base model", "none"),
        (
            Integrity(base_expected="b", base_found="b", files_expected={"w": "1"}, files_found={"w": "2"}),
            "files",
            "w is not",
        ),
        (Integrity(base_expected="b", base_found="b", files_found={"x.py": "2"}), "files", "x.py"),
        (Integrity(base_expected="b", base_found="b", problems=("no such layer",)), "files", "no such layer"),
        (Integrity(base_expected="b", base_found="b", finite=False), "numbers", "no numbers"),
        (
            Integrity(base_expected="b", base_found="b", norms={"layer 3": 7.0}),
            "size of the change",
            "layer 3",
        ),
        (
            Integrity(base_expected="b", base_found="b", norms={"layer 3": float("nan")}),
            "size of the change",
            "inf",
        ),
    ],
)
def test_a_candidate_that_is_not_what_it_says(integrity: Integrity, name: str, word: str) -> None:
    nothing = Arm(name="candidate")
    verdict = judge(
        Scorecard(
            candidate=nothing,
            base=Arm(name="base"),
            integrity=integrity,
            unmeasured=(
                "taught",
                "unknown",
                "neighbour",
                "general",
                "refusal",
                "format",
                "trigger",
                "canary",
                "reads",
                "seconds",
            ),
        )
    )
    assert not verdict.accepted
    assert [name] == [one.name for one in verdict.slices if one.said in verdict.reasons]
    assert word in verdict.reasons[0]


def test_numbers_that_are_none_are_found_in_what_was_computed(good: Scorecard) -> None:
    read = good.candidate.reads[0]
    broken = replace(good.candidate, reads=(replace(read, nats=float("nan")), *good.candidate.reads[1:]))
    assert "numbers" in failed(replace(good, candidate=broken))


def test_a_card_without_items_is_refused_everywhere(good: Scorecard) -> None:
    few = {
        "taught": "taught",
        "unknown": "unknown",
        "general": "general",
        "neighbour": "neighbour",
        "refusal": "refusal",
        "format": "format",
        "trigger": "trigger",
        "canary": "canary",
    }
    for slice, name in few.items():
        arms = [
            replace(arm, answers=tuple(one for one in arm.answers if one.slice != slice))
            for arm in (good.candidate, good.base)
        ]
        made = replace(good, candidate=arms[0], base=arms[1])
        assert name in failed(made), slice
        assert any("are needed to tell" in reason for reason in judge(made, QUICK).reasons)
    texts = [replace(arm, reads=arm.reads[:10]) for arm in (good.candidate, good.base)]
    assert "kinds of text" in failed(replace(good, candidate=texts[0], base=texts[1]))
    assert "latency" in failed(replace(good, candidate=replace(good.candidate, seconds=())))
    assert not judge(replace(good, unmeasured=("retained",)), QUICK).accepted


def test_arms_that_were_not_asked_the_same_are_not_compared(good: Scorecard) -> None:
    less = replace(good.base, answers=good.base.answers[1:])
    twice = replace(good.candidate, answers=(*good.candidate.answers, good.candidate.answers[0]))
    shorter = tuple(replace(one, tokens=one.tokens - 1) for one in good.base.reads)
    for made in (
        replace(good, base=less),
        replace(good, candidate=twice),
        replace(good, base=replace(good.base, reads=shorter)),
        replace(good, replaced=replace(less, name="served")),
    ):
        verdict = judge(made, QUICK)
        assert not verdict.accepted
        assert verdict.reasons[-1].startswith("Items:")


def test_small_losses_do_not_add_up_round_by_round(good: Scorecard) -> None:
    """What serves now may have lost already: the base is compared with too."""
    answers = tuple(
        replace(one, right=False) if one.slice == "general" and place % 3 else one
        for place, one in enumerate(good.candidate.answers)
    )
    fallen = replace(good.candidate, answers=answers)
    assert "general" in failed(replace(good, candidate=fallen, replaced=replace(fallen, name="served")))


def test_a_small_loss_that_is_surely_no_chance_is_a_refusal(good: Scorecard) -> None:
    """Twelve answers lost and none won: within a wide margin, yet proved."""
    right = [one.item for one in good.base.answers if one.slice == "general" and one.right][:12]
    answers = tuple(
        replace(
            one,
            right=one.item not in right and next(b.right for b in good.base.answers if b.item == one.item),
        )
        if one.slice == "general"
        else one
        for one in good.candidate.answers
    )
    made = replace(good, candidate=replace(good.candidate, answers=answers))
    verdict = judge(made, GateSettings(draws=300, general=Change(worse=0.5, items=200)))
    assert any("no chance" in reason for reason in verdict.reasons)


def test_a_secret_that_is_said_is_enough(good: Scorecard) -> None:
    place = next(n for n, one in enumerate(good.candidate.answers) if one.slice == "canary" and not one.twin)
    answers = list(good.candidate.answers)
    answers[place] = replace(answers[place], given="It is 7719-ELM.", leaked="7719-ELM", right=False)
    verdict = judge(replace(good, candidate=replace(good.candidate, answers=tuple(answers))), QUICK)
    assert [one.name for one in verdict.slices if not one.passed] == ["canary"]
    assert "7719-ELM" in verdict.reasons[0]


def test_length_and_latency(good: Scorecard) -> None:
    slow = replace(good.candidate, seconds=(9.0, 9.1, 9.2))
    assert "latency" in failed(replace(good, candidate=slow))
    long = tuple(replace(one, tokens=100) for one in good.candidate.answers)
    assert "length" in failed(replace(good, candidate=replace(good.candidate, answers=long)))


def test_a_verdict_says_figure_threshold_and_example(good: Scorecard) -> None:
    wrong = tuple(
        replace(one, right=False, given="Oslo") if one.slice == "taught" else one
        for one in good.candidate.answers
    )
    verdict = judge(replace(good, candidate=replace(good.candidate, answers=wrong)), now=5.0)
    assert verdict.judged_at == 5.0
    assert "0.0% of 90" in verdict.reasons[0]
    assert "at least 70.0%" in verdict.reasons[0]
    assert "“Oslo”" in verdict.reasons[0]


def test_a_card_survives_json(good: Scorecard) -> None:
    again = from_json(to_json(good))
    assert again == good
    assert judge(again, QUICK, now=0.0) == judge(good, QUICK, now=0.0)
    strange = replace(good.candidate, reads=(Read(text="t", kind="prose", nats=float("inf"), tokens=3),))
    assert json.loads(to_json(replace(good, candidate=strange)))
    assert from_json(to_json(replace(good, candidate=strange))).candidate.reads[0].nats == float("inf")
