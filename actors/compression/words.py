"""Cuts a text into words, the units that are kept or dropped whole. Knows no score and no budget."""

import re
from dataclasses import dataclass

LONGEST = 48
"""Characters of one word at most; a longer run is cut into pieces."""
LONGEST_IDEOGRAPHIC = 2
"""Characters of one word at most in scripts that write no spaces between ideographs or syllables."""

_IDEOGRAPHIC = (
    "\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_IDEOGRAPHIC}]{{1,{LONGEST_IDEOGRAPHIC}}}|[^\\s{_IDEOGRAPHIC}]{{1,{LONGEST}}}")


@dataclass(frozen=True, slots=True)
class Word:
    """`text[start:end]` is the word; what lies between two words is white space or nothing."""

    start: int
    end: int


def split(text: str) -> list[Word]:
    """The words of a text in order: each character that is no white space belongs to exactly one."""
    return [Word(*match.span()) for match in _WORD.finditer(text)]
