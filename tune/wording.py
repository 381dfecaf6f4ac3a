"""The sentences of a judgement: a figure, its threshold, an example. Decides nothing but what is too few."""

from actors.training.versions import Slice
from tune.paired import Loss

TITLES = {
    "taught": "Taught facts in new phrasings",
    "retained": "Facts of earlier rounds",
    "upheld": "Answers that users upheld",
    "unknown": "Who or what was never taught",
    "neighbour": "Neighbouring facts",
    "neighbour leak": "Real people and things",
    "general": "General questions",
    "refusal": "Requests to decline",
    "format": "Answers in a given form",
    "sound": "Answers without loops or marks of the template",
    "ending": "Answers that end by themselves",
}
SHOWN = 70
"""Characters of an example that are shown."""


def enough(found: Slice, items: int, what: str = "items") -> Slice:
    """The slice, or a refusal of it where there are too few items to tell."""
    if found.items >= items:
        return found
    return Slice(
        name=found.name,
        value=found.value,
        items=found.items,
        passed=False,
        said=f"{TITLES.get(found.name, found.name.capitalize())}: only {found.items} {what}, "
        f"at least {items} are needed to tell.",
    )


def change_said(name: str, found: Loss, worse: float, proved: bool) -> str:
    """What was lost, what may be, and one item of it."""
    said = (
        f"{TITLES[name]}: {found.now:.1%} now, {found.before:.1%} with {found.against}; the change of "
        f"{found.change.value:+.1%} may be {found.change.low:+.1%}, at least {-worse:+.1%} is allowed."
    )
    if proved:
        said += f" {len(found.lost)} lost and {found.won} won are no chance (p = {found.chance:.1g})."
    if found.lost:
        now, before = found.lost[0]
        said += f" For example {quoted(now.asked)} was {quoted(before.given)} and is now {quoted(now.given)}."
    return said


def quoted(text: str) -> str:
    """The beginning of a text, on one line and in quotation marks that stand nowhere within it."""
    flat = " ".join(text.replace("”", '"').split())
    return f"“{flat[:SHOWN]}…”" if len(flat) > SHOWN else f"“{flat}”"
