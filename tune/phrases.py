"""Words that lessons are made of, from phrases.yaml. Knows no fact."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_HELD: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("phrases.yaml").read_text(encoding="utf-8"))
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
