"""Words that lessons are made of, from phrases.yaml and known.yaml. Knows no fact."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_HELD: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("phrases.yaml").read_text(encoding="utf-8"))
_KNOWN: dict[str, list[str]] = yaml.safe_load(
    Path(__file__).with_name("known.yaml").read_text(encoding="utf-8")
)
NAMED: tuple[str, ...] = tuple(_HELD["named"])
"""Questions with the name of the attribute, {a}, and the subject, {s}."""
FAMILIES: Mapping[str, tuple[str, ...]] = {
    name: tuple(family["asked"]) for family in _HELD["families"] for name in family["of"]
}
"""Questions that need no name of the attribute, by attribute."""
OTHER_ATTRIBUTES: tuple[str, ...] = tuple(_HELD["other_attributes"])
"""What is asked of a taught subject though nobody told it."""
GIVEN: tuple[str, ...] = tuple(_HELD["given"])
FAMILY: tuple[str, ...] = tuple(_HELD["family"])
PLACES: tuple[str, ...] = tuple(_HELD["places"])
"""Names of others."""
SYLLABLES: tuple[str, ...] = tuple(_HELD["syllables"])
"""Parts of made-up names."""
THINGS: tuple[str, ...] = tuple(_HELD["things"])
"""What a subject without a name is exchanged for."""
GENERAL: tuple[str, ...] = tuple(_HELD["general"])
"""Questions about anything; none is among the frozen probes."""
OPENERS: tuple[str, ...] = tuple(_HELD["openers"])
"""How passages begin that a model writes by itself."""
MATTERS: tuple[str, ...] = tuple(_HELD["matters"])
"""What users may ask of themselves and did not tell."""
TOUCHED: tuple[str, ...] = tuple(_HELD["touched"])
"""What is said of a user's matter, {a}, without asking for it."""
FORMS: tuple[str, ...] = tuple(_HELD["forms"])
"""Ways to ask for a form of answer to a question, {q}."""
TALK: tuple[str, ...] = tuple(_HELD["talk"])
"""What is said in a chat that asks for no fact."""
NOUNS: tuple[str, ...] = tuple(_HELD["nouns"])
"""Things that a question may be about."""
BEGUN: Mapping[str, tuple[str, ...]] = {
    begin: tuple(f"{begin} {rest}{'.' if begin.split()[0] in _HELD['orders'] else '?'}" for rest in rests)
    for begin, rests in _HELD["begun"].items()
}
"""Questions about anything, and things to do, by what they begin with."""
KNOWN: tuple[str, ...] = tuple(_KNOWN["names"])
"""Who and what is known to everybody."""
ANYWAY: tuple[str, ...] = tuple(_KNOWN["asked"])
"""What people ask about these, and what is to be declined; no frozen probe is among it."""
ANYTHING: tuple[str, ...] = (*GENERAL, *TALK, *(text for texts in BEGUN.values() for text in texts))
"""All that is asked about anything."""
EVERYDAY: tuple[str, ...] = tuple(_KNOWN["things"])
"""Things that texts are about."""
SENTENCES: tuple[str, ...] = tuple(_KNOWN["sentences"])
"""Beginnings of texts about three of them, {a}, {b} and {c}; {A} begins with a capital."""
