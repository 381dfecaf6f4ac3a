"""Texts of other kinds than encyclopaedia articles, with questions made by rule. Knows no arm.

Dialogues and tables are generated; technical prose and code are this project's own.
"""

import ast
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from actors.memory.questions import content_words
from benchmarks import dialogues
from benchmarks.compression_data import Case, Question
from tune.locomo import Conversation

ROOT = Path(__file__).parents[1]
DIALOGUE_SEED = 4242
"""Of conversations that nothing is trained on."""
CONVERSATIONS, ASKED = 8, 60
TURNS = 12
LEAST_WORDS, MOST_WORDS = 60, 500
MOST_TEXTS = 100
TABLES, ROWS, CELLS = 24, 7, 5

_QUOTED = re.compile(r"\"[^\"]{2,40}\"")
_NUMBER = re.compile(r"\b\d[\d.,:]*(?: ?(?:%|km|kg|hours|weeks|days|people|euros|dollars))?")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w'-]+(?: [A-Z][\w'-]+){0,2}")
_RUN = re.compile(
    r"\b(?:a|an|the|my|our|his|her|their|at|in|from|with|for) ([a-z][\w'-]{2,}(?: [a-z][\w'-]{2,})?)"
)
_STATED = re.compile(
    r"(?:^|[.;:] )((?:The |A |An )?[A-Z`][\w`./'-]*(?: [\w`./'-]+){0,4}?) "
    r"(is|are|takes|needs|holds|keeps|has|gives|means|says|knows|reads|writes) "
    r"(?:the |a |an |its |their )?([^.,;:()]{6,70}?)[.,;:(]"
)
_VAGUE = frozenset(
    {"raises", "it", "this", "that", "what", "there", "they", "each", "all", "which", "returns"}
)
_ANSWER_WORDS = 4
_TREES = (
    "Alder",
    "Birch",
    "Cedar",
    "Dogwood",
    "Elm",
    "Fir",
    "Gum",
    "Hazel",
    "Ivy",
    "Juniper",
    "Kauri",
    "Larch",
)
_COLUMNS: Mapping[str, tuple[int, int]] = {
    "Height": (2, 90),
    "Age": (5, 900),
    "Girth": (30, 700),
    "Yield": (1, 60),
    "Price": (3, 400),
    "Density": (300, 900),
    "Stock": (0, 250),
}
_REMARKS = (
    "The figures in this table were taken by the keepers of the park in the course of one long summer.",
    "It should be noted that some of the older trees could not be measured as well as one would have liked.",
    "As in every year before, the work was done by volunteers, who were thanked with a modest dinner.",
    "Readers who would like to know more about the way in which this was done may write to the office.",
    "There is, as one might expect, a good deal of variation from one part of the park to the other.",
    "None of this would have been possible without the patience of those who live in the neighbourhood.",
)


def domains() -> dict[str, list[Case]]:
    """Cases by the name of their kind, at most MOST_TEXTS of each, evenly from all."""
    kinds = {
        "dialogue": list(_dialogues()),
        "technical prose": list(_prose()),
        "code": list(_code()),
        "tables": list(_tables()),
    }
    return {name: cases[:: -(-len(cases) // MOST_TEXTS)] for name, cases in kinds.items()}


def answer_in(said: str, question: str) -> str | None:
    """What a line adds to a question, by rule: something quoted, a number, a name or a thing it speaks of."""
    known = set(content_words(question))
    for pattern in (_QUOTED, _NUMBER, _NAME, _RUN):
        for match in pattern.finditer(said):
            found = match[match.lastindex or 0].strip(".,:")
            if content_words(found) and "I'" not in found and not known & set(content_words(found)):
                return found
    return None


def _dialogues() -> Iterator[Case]:
    for conversation in dialogues.generate(DIALOGUE_SEED, CONVERSATIONS, ASKED):
        yield from _of_conversation(conversation)


def _of_conversation(conversation: Conversation) -> Iterator[Case]:
    said = {turn.id: turn.text for turn in conversation.turns}
    asked: dict[str, list[Question]] = {}
    for one in conversation.asked:
        answer = answer_in(said[one.evidence[0]], one.text)
        if answer is not None:
            asked.setdefault(one.evidence[0], []).append(Question(one.text, (answer,)))
    for first in range(0, len(conversation.turns), TURNS):
        some = conversation.turns[first : first + TURNS]
        text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in some)
        yield from _kept(conversation.id, text, [one for turn in some for one in asked.get(turn.id, ())])


def _prose() -> Iterator[Case]:
    for path in sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]):
        blocks = [
            block for block in path.read_text().split("\n\n") if block[:1].isalpha() or block[:1] == "-"
        ]
        yield from _passages(path.name, [" ".join(block.split()) for block in blocks])
    for path in sorted((ROOT / "actors").rglob("*.py")):
        tree = ast.parse(path.read_text())
        nodes = [
            node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        ]
        found = [text for node in nodes if (text := ast.get_docstring(node))]
        yield from _passages(path.name, [" ".join(text.split()) for text in found])


def _passages(document: str, blocks: Iterable[str]) -> Iterator[Case]:
    held: list[str] = []
    for block in [*blocks, ""]:
        if held and (not block or sum(len(one.split()) for one in held) > 160):
            text = "\n\n".join(held)
            yield from _kept(document, text, _stated(text))
            held = []
        if block:
            held.append(block)


def _stated(text: str) -> list[Question]:
    """A question for each sentence that says what something is, takes, holds, …"""
    found = []
    for match in _STATED.finditer(text):
        subject, verb, rest = match.groups()
        answer = " ".join(rest.split()[:_ANSWER_WORDS]).rstrip(" -–'\"")
        named = set(content_words(subject)) - _VAGUE
        if named and len(answer) > 5 and text.count(answer) == 1:
            found.append(Question(f"{subject} {verb} what?", (answer,)))
    return found


def _code() -> Iterator[Case]:
    for path in sorted((ROOT / "actors").rglob("*.py")):
        source = path.read_text()
        for node in ast.parse(source).body:
            text = ast.get_source_segment(source, node) or ""
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield from _kept(path.name, text, list(_of_code(node, text)))


def _of_code(node: ast.stmt, text: str) -> Iterator[Question]:
    for one in ast.walk(node):
        if isinstance(one, ast.FunctionDef) and one.returns is not None:
            answer = ast.unparse(one.returns)
            if answer != "None" and f"-> {answer}:" in text:
                yield Question(f"What does {one.name} return?", (f"{answer}:",))
        elif isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
            answer = ast.unparse(one.value)
            if len(answer) < 40 and f" = {answer}\n" in text:
                yield Question(f"What is {one.targets[0].id} set to?", (answer,))


def _tables() -> Iterator[Case]:
    for number in range(TABLES):
        chance = random.Random(f"tables/{number}")
        columns = chance.sample(sorted(_COLUMNS), CELLS - 1)
        names = chance.sample(_TREES, ROWS)
        cells = {
            (name, column): str(chance.randint(*_COLUMNS[column])) for name in names for column in columns
        }
        lines = [
            "| Tree | " + " | ".join(columns) + " |",
            "|---" * CELLS + "|",
            *(
                "| " + " | ".join([name, *(cells[name, column] for column in columns)]) + " |"
                for name in names
            ),
        ]
        before, after = chance.sample(_REMARKS, 3), chance.sample(_REMARKS, 3)
        text = "\n\n".join([" ".join(before), "\n".join(lines), " ".join(after)])
        asked = [
            Question(
                f"What is the {column.lower()} of the {name}?",
                (f"{name} |" + _row(cells, name, columns, column),),
            )
            for name in chance.sample(names, 3)
            for column in chance.sample(columns, 1)
        ]
        yield Case(f"table {number}", text, tuple(asked))


def _row(cells: Mapping[tuple[str, str], str], name: str, columns: list[str], column: str) -> str:
    """A row from after its name to the asked cell: an answer is right only beside its name."""
    return "".join(f" {cells[name, one]} |" for one in columns[: columns.index(column) + 1])


def _kept(document: str, text: str, asked: list[Question]) -> Iterator[Case]:
    """The case, if it is neither short nor long and something is asked."""
    if asked and LEAST_WORDS <= len(text.split()) <= MOST_WORDS:
        yield Case(document, text, tuple(dict.fromkeys(asked)))
