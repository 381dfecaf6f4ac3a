"""Texts full of what must not change, and whether it is still there in shorter ones. Knows no arm but ours.

What was put into a generated text is known without the compressor's own patterns; in real texts these say it.
"""

import random
import re
from collections.abc import Sequence
from typing import Any

from actors.compression.protect import merged, protect
from actors.compression.shortening import Shortener

BUDGETS = (0.3, 0.5, 0.7)
_SAID = (
    "the work of a harbour is to keep ships safe while they wait for tide and cargo and this "
    "takes patience people who live near it say that old habits shape every street and that few "
    "visitors stay for long there was once a market by the water where boats came in early and "
    "left again before noon each day"
)
_WORDS = _SAID.split()


def generated(count: int, seed: int = 31) -> list[tuple[str, list[str]]]:
    """Texts and the pieces in each that must stay byte for byte."""
    return [_text(random.Random(f"{seed}/{number}")) for number in range(count)]


def measure(shortener: Shortener, real: Sequence[str], count: int) -> dict[str, Any]:
    """Places still whole over `count` texts, half of them generated, each at one of three budgets."""
    made = generated(count // 2)
    kept, places, broken = 0, 0, []
    for number, (text, pieces) in enumerate(made):
        short = shortener.shorten(text, BUDGETS[number % len(BUDGETS)]).text
        missing = [piece for piece in pieces if _times(piece, short) < _times(piece, text)]
        places, kept = places + len(pieces), kept + len(pieces) - len(missing)
        broken += missing
    report = {"generated": {"texts": len(made), "places": places, "intact": kept}}
    held = total = 0
    some = list(real)[: count - len(made)]
    for number, text in enumerate(some):
        held_here, total_here = intact(text, shortener.shorten(text, BUDGETS[number % len(BUDGETS)]).text)
        held, total = held + held_here, total + total_here
    report["real"] = {"texts": len(some), "places": total, "intact": held}
    return report | {"share": round((kept + held) / max(1, places + total), 6), "broken": broken[:10]}


def intact(text: str, short: str) -> tuple[int, int]:
    """How many protected places of a text stand in the short one in their order, and how many there are."""
    places = merged(protect(text))
    at = held = 0
    for start, end in places:
        found = short.find(text[start:end], at)
        if found >= 0:
            at, held = found + end - start, held + 1
    return held, len(places)


def _times(piece: str, text: str) -> int:
    """How often a piece stands in a text, not as a part of a word."""
    return len(re.findall(rf"(?<!\w){re.escape(piece)}(?!\w)", text))


def _text(chance: random.Random) -> tuple[str, list[str]]:
    parts: list[str] = []
    pieces: list[str] = []
    for _ in range(chance.randint(3, 6)):
        piece = chance.choice(_PIECES)(chance)
        before = " ".join(chance.choices(_WORDS, k=chance.randint(8, 20)))
        after = " ".join(chance.choices(_WORDS, k=chance.randint(6, 16)))
        block = "\n" in piece
        parts.append(f"{before}.\n\n{piece}\n\n{after}." if block else f"{before} {piece} {after}.")
        pieces.append(piece)
    return "\n".join(parts), pieces


def _number(chance: random.Random) -> str:
    value = f"{chance.randint(1, 9999):,}" if chance.random() < 0.5 else f"{chance.uniform(0, 500):.2f}"
    return value + chance.choice((" km", " kg", " %", "%", " ms", " MB", " °C", " hours", ""))


def _identifier(chance: random.Random) -> str:
    first, second = chance.sample(("max", "token", "retry", "batch", "user", "cache", "index"), 2)
    form = chance.choice(("{0}_{1}", "{0}_{1}_{2}", "{0}{3}", "{4}-{2}"))
    return form.format(first, second, chance.randint(100, 999), second.title(), first.upper())


def _url(chance: random.Random) -> str:
    host, path = chance.choice(("docs", "files")), chance.randint(1, 999)
    return f"https://{host}.example.org/a/{path}?page={chance.randint(1, 9)}"


def _email(chance: random.Random) -> str:
    return f"{chance.choice(('ann', 'lee', 'desk'))}.{chance.randint(1, 99)}@example.org"


def _code(chance: random.Random) -> str:
    name, value = chance.choice(("limit", "count", "pause")), chance.randint(2, 90)
    return f"```python\ndef {name}(value: int) -> int:\n    return value * {value}\n```"


def _inline(chance: random.Random) -> str:
    return f"`pal run --limit {chance.randint(1, 99)}`"


def _table(chance: random.Random) -> str:
    rows = [f"| row {number} | {chance.randint(1, 999)} | {chance.randint(1, 999)} |" for number in range(3)]
    return "\n".join(["| name | first | second |", "|---|---|---|", *rows])


def _quote(chance: random.Random) -> str:
    return '"' + " ".join(chance.choices(_WORDS, k=chance.randint(3, 9))) + '"'


def _negation(chance: random.Random) -> str:
    return chance.choice(("not", "never", "without", "cannot", "didn't", "isn't", "nobody"))


def _date(chance: random.Random) -> str:
    return chance.choice(("{0} March {1}", "{1}-03-{0:02}", "March {0}, {1}")).format(
        chance.randint(1, 28), chance.randint(1800, 2030)
    )


_PIECES = (_number, _identifier, _url, _email, _code, _inline, _table, _quote, _negation, _date)
