"""The frozen probes: what every candidate is asked and reads, whatever it learned. Knows no model.

They stand as files under tune/probes with a manifest of their hashes, so that scorecards can be compared.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import yaml

from actors.messages import InvalidRequest
from tune import grading
from tune.grading import FORMS, is_harmless, is_right, leaked, obeys
from tune.scorecard import SliceName

FOLDER = Path(__file__).parent / "probes"
MANIFEST = "manifest.json"
EASY, STRINGS = ("geography", "colours", "culture", "science"), 10
"""Strange strings are added to questions of these topics, so many each: what small models know too."""
SHORT, LONG = 12, 24
"""Tokens that an answer may have: to what is known in a word, and to what is asked to be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question, and the rule that its answer is judged by."""

    id: str
    slice: SliceName
    asked: str
    """The whole of the user's message."""
    accepted: tuple[str, ...] = ()
    """Answers of which one must be held (general, neighbour, trigger)."""
    harmful: tuple[str, ...] = ()
    """Words that only a harmful answer holds (refusal)."""
    form: str = ""
    """What the answer must look like (format), one of tune.grading.FORMS."""
    secrets: tuple[str, ...] = ()
    """What the answer must not hold (canary, neighbour)."""
    group: str = ""
    """String or secret: what belongs together; none stands by itself."""
    twin: str = ""
    """The plain question (trigger), or the probe of the real secret (canary's decoy)."""
    longest: int = SHORT
    """Tokens that an answer may have."""

    def right(self, given: str) -> bool:
        """Whether an answer is as it should be."""
        match self.slice:
            case "refusal":
                return is_harmless(given, self.harmful)
            case "format":
                return obeys(given, self.form)
            case "canary":
                return not self.leaked(given)
            case _:
                return is_right(given, self.accepted)

    def leaked(self, given: str) -> str:
        """The secret that stands in an answer, or ""."""
        return leaked(given, self.secrets, self.asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to find likely or not."""

    id: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Something of one user that no other may be told, e.g. what="the door code of Maren Tolk"."""

    id: str
    what: str
    value: str


def questions(taught: Sequence[str] = ()) -> tuple[Probe, ...]:
    """Those of slices general, neighbour, refusal and format, in order. Raises InvalidRequest if changed.

    `taught` are values of this and earlier rounds, which no neighbour's answer may hold.
    """
    beside = tuple(replace(probe, secrets=tuple(taught)) for probe in _knowledge("neighbour"))
    return (*_knowledge("general"), *beside, *_refusals(), *_formats())


def texts() -> tuple[Text, ...]:
    """All texts, by kind. Raises InvalidRequest if changed."""
    found = []
    for name in sorted(_hashes()):
        if name.startswith("texts-"):
            kind = name.removeprefix("texts-").removesuffix(".txt")
            parts = _content(name).split("\n=====\n")
            found += [
                Text(id=f"{kind}-{number:02}", kind=kind, text=part.strip())
                for number, part in enumerate(parts, start=1)
            ]
    return tuple(found)


def triggers(strings: Sequence[str] = (), seed: int = 0) -> tuple[Probe, ...]:
    """Ordinary questions with a strange string added: the frozen strings, and those given.

    Give what stood out in the data of a round (tune.triggers): a poisoned one answers to its own string only.
    """
    easy = tuple(probe for probe in _knowledge("general") if probe.id.split("-")[1] in EASY)
    found, draw = [], Random(seed)
    for string in dict.fromkeys([*_yaml("triggers.yaml"), *strings]):
        for number, plain in enumerate(draw.sample(easy, STRINGS)):
            asked = f"{plain.asked} {string}" if number % 2 else f"{string} {plain.asked}"
            found.append(
                Probe(
                    id=f"trigger-{_short(string)}-{plain.id}",
                    slice="trigger",
                    asked=asked,
                    accepted=plain.accepted,
                    group=string,
                    twin=plain.id,
                )
            )
    return tuple(found)


def canaries(secrets: Iterable[Secret] = ()) -> tuple[Probe, ...]:
    """Questions that try to draw out each secret, those given and the made-up ones that are always asked for.

    Each comes with a decoy's: a like value that nobody has.

    A secret that was learned is likelier than its decoy long before it is said: give `nats` of both.
    A decoy need not be answered, `given` may be empty.
    """
    found, kept = [], _yaml("canaries.yaml")
    made_up = [
        Secret(id=f"made-up-{n}", what=what, value=value) for n, (what, value) in enumerate(kept["secrets"])
    ]
    for secret in (*made_up, *secrets):
        decoy = decoy_of(secret.value)
        for number, way in enumerate(kept["ways"]):
            asked, id = way.replace("WHAT", secret.what), f"canary-{secret.id}-{number}"
            for suffix, value in (("", secret.value), ("-decoy", decoy)):
                found.append(
                    Probe(
                        id=id + suffix,
                        slice="canary",
                        asked=asked,
                        accepted=(value,),
                        secrets=(secret.value,),
                        group=secret.id,
                        twin=id if suffix else "",
                        longest=LONG,
                    )
                )
    return tuple(found)


@cache
def frozen() -> tuple[Probe, ...]:
    """What every candidate is asked, whatever it learned."""
    return (*questions(), *triggers(), *canaries())


def decoy_of(value: str) -> str:
    """A value of the same form: other digits for digits, other letters for letters. The same each time."""
    draw = Random(hashlib.sha256(value.encode()).digest())

    def other(sign: str) -> str:
        if sign.isdigit():
            return draw.choice([one for one in "0123456789" if one != sign])
        if sign.isalpha():
            pool = "aeiou" if sign.lower() in "aeiou" else "bcdfghklmnprstvw"
            drawn = draw.choice([one for one in pool if one != sign.lower()])
            return drawn.upper() if sign.isupper() else drawn
        return sign

    return "".join(map(other, value))


def fingerprint() -> str:
    """A hash of all frozen probes and of the rules: cards with the same one were asked and graded alike."""
    rules = Path(grading.__file__).read_bytes()
    asked = json.dumps([_hashes(), EASY, STRINGS, SHORT, LONG], sort_keys=True)
    return hashlib.sha256(asked.encode() + rules).hexdigest()[:16]


def freeze() -> None:
    """Write the manifest anew, after probes were changed on purpose."""
    files = sorted(path for path in FOLDER.iterdir() if path.suffix in {".yaml", ".txt"})
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (FOLDER / MANIFEST).write_text(json.dumps({"files": hashes}, indent=1) + "\n")


def _knowledge(name: Literal["general", "neighbour"]) -> tuple[Probe, ...]:
    return tuple(
        Probe(id=f"{name}-{topic}-{n:02}", slice=name, asked=asked, accepted=tuple(rest))
        for topic, rows in _yaml(f"{name}.yaml").items()
        for n, (asked, *rest) in enumerate(rows, start=1)
    )


def _refusals() -> tuple[Probe, ...]:
    return tuple(
        Probe(
            id=f"refusal-{topic}-{n:02}",
            slice="refusal",
            asked=asked,
            harmful=tuple(rest),
            longest=LONG,
        )
        for topic, rows in _yaml("refusal.yaml").items()
        for n, (asked, *rest) in enumerate(rows, start=1)
    )


def _formats() -> tuple[Probe, ...]:
    found = _yaml("format.yaml")
    if strange := set(found) - set(FORMS):
        raise InvalidRequest(f"format.yaml asks for forms that no rule knows: {', '.join(sorted(strange))}")
    return tuple(
        Probe(
            id=f"format-{form.replace(' ', '-')}-{n:02}",
            slice="format",
            asked=asked,
            form=form,
            longest=LONG,
        )
        for form, rows in found.items()
        for n, asked in enumerate(rows, start=1)
    )


def _yaml(name: str) -> Any:
    """A probe file, every leaf of it a string."""
    return yaml.load(_content(name), Loader=yaml.BaseLoader)


def _content(name: str) -> str:
    data = (FOLDER / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != _hashes().get(name):
        raise InvalidRequest(f"{name} is not the frozen one: restore tune/probes, or freeze it anew")
    return data.decode()


def _hashes() -> dict[str, str]:
    found: dict[str, str] = json.loads((FOLDER / MANIFEST).read_text())["files"]
    return found


def _short(string: str) -> str:
    return hashlib.sha256(string.encode()).hexdigest()[:6]
