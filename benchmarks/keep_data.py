"""Writes texts other than articles for training the keep policy: dialogues and tables, all generated.

`pal data prepare` makes questions of them by rule. Their seeds are none that anything is measured on.
"""

import argparse
import random
from pathlib import Path

from benchmarks import dialogues

SEED = 7001
CONVERSATIONS, TABLES = 6, 120
TURNS = 12
_ITEMS = ("pump", "valve", "gasket", "rotor", "filter", "sensor", "bracket", "relay", "spring", "bearing")
_PLACES = ("Northgate", "Easton", "Millbrook", "Harrow", "Ashford", "Carlow", "Denholm", "Fairview", "Kirkby")
_FIELDS = {"Pressure": "bar", "Weight": "kg", "Length": "mm", "Price": "euros", "Delay": "days", "Count": ""}
_WORDS = (
    "The list was put together from what the shops had sent in by the end of the month.",
    "Some of the rows could not be checked in time and may be out of date.",
    "As before, whoever needs more than is in stock should write to the office.",
)


def main() -> None:
    """Write both kinds into a directory each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where to write")
    folder = parser.parse_args().out
    for kind, texts in {"dialogues": spoken(), "tables": tabled()}.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            (folder / kind / f"{number:03}.txt").write_text(text, encoding="utf-8")


def spoken() -> list[str]:
    """Conversations, twelve turns to a paragraph."""
    found = []
    for conversation in dialogues.generate(SEED, CONVERSATIONS, 1):
        lines = [f"{turn.speaker}: {turn.text}" for turn in conversation.turns]
        parts = ["\n".join(lines[first : first + TURNS]) for first in range(0, len(lines), TURNS)]
        found.append("\n\n".join(parts))
    return found


def tabled() -> list[str]:
    """Stock lists with a sentence before and after."""
    return [_table(random.Random(f"{SEED}/{number}")) for number in range(TABLES)]


def _table(chance: random.Random) -> str:
    fields = chance.sample(sorted(_FIELDS), 3)
    head = ["Part", "Shop", *fields]
    rows = [
        [
            f"{chance.choice(_ITEMS)}-{chance.randint(10, 99)}",
            chance.choice(_PLACES),
            *(f"{chance.randint(2, 900)} {_FIELDS[field]}".strip() for field in fields),
        ]
        for _ in range(chance.randint(4, 9))
    ]
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    before, after = chance.sample(_WORDS, 2)
    return f"{before}\n{table}\n{after}\n"


if __name__ == "__main__":
    main()
