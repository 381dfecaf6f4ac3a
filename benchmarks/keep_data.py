"""Writes texts other than articles for training the keep policy: dialogues, tables and technical prose.

Dialogues and tables are generated, and `pal data prepare` makes questions of them by rule; prose is this
project's own. Nothing is measured on these seeds and files.
"""

import argparse
import ast
import json
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks import dialogues
from benchmarks.compression_domains import ROOT, _passages

SEED = 7001
CONVERSATIONS, TABLES = 6, 120
TURNS = 12
PROSE = ("benchmarks", "cluster", "configs", "serve", "tune")
"""Folders whose docstrings are written; those of the others are measured on."""
_ITEMS = ("pump", "valve", "gasket", "rotor", "filter", "sensor", "bracket", "relay", "spring", "bearing")
_PLACES = ("Northgate", "Easton", "Millbrook", "Harrow", "Ashford", "Carlow", "Denholm", "Fairview", "Kirkby")
_FIELDS = {"Pressure": "bar", "Weight": "kg", "Length": "mm", "Price": "euros", "Delay": "days", "Count": ""}
_WORDS = (
    "The list was put together from what the shops had sent in by the end of the month.",
    "Some of the rows could not be checked in time and may be out of date.",
    "As before, whoever needs more than is in stock should write to the office.",
)


def main() -> None:
    """Write dialogues and tables into a directory each, and prose with its questions into one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where to write")
    folder = parser.parse_args().out
    for kind, texts in {"dialogues": spoken(), "tables": tabled()}.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            (folder / kind / f"{number:03}.txt").write_text(text, encoding="utf-8")
    lines = [json.dumps(one, ensure_ascii=False) for one in stated()]
    (folder / "prose.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def spoken() -> list[str]:
    """Conversations, twelve turns to a paragraph."""
    found = []
    for conversation in dialogues.generate(SEED, CONVERSATIONS, 1):
        lines = [f"{turn.speaker}: {turn.text}" for turn in conversation.turns]
        parts = ["\n".join(lines[first : first + TURNS]) for first in range(0, len(lines), TURNS)]
        found.append("\n\n".join(parts))
    return found


def stated() -> Iterator[dict[str, object]]:
    """Docstrings, with a question for each sentence that says what something is, takes, holds, …"""
    for path in sorted(path for name in PROSE for path in (ROOT / name).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for number, case in enumerate(_passages(name, documented(path.read_text()))):
            asked = [{"question": one.text, "answers": one.answers} for one in case.questions]
            yield {"id": f"{name}#{number}", "document": name, "text": case.text, "questions": asked}


def documented(source: str) -> list[str]:
    """The docstrings of a module, its classes and functions; then those of its names and attributes."""
    nodes = list(ast.walk(ast.parse(source)))
    whole = [node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    found = [text for node in whole if (text := ast.get_docstring(node))]
    statements = [
        one for node in nodes if isinstance(node, ast.Module | ast.ClassDef) for one in node.body[1:]
    ]
    values = [one.value for one in statements if isinstance(one, ast.Expr)]
    found += [str(one.value) for one in values if isinstance(one, ast.Constant)]
    return [" ".join(text.split()) for text in found]


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
