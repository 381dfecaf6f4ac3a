"""HTML to text: what a reader would see, with headings marked by `#` as in Markdown. Runs no script."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from actors.readers.plain import clean, decode

_DROPPED_TAGS = "script style noscript template head svg math iframe object embed canvas select datalist"
_BLOCK_TAGS = (
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form header hr legend li main menu nav ol p section summary table tbody tfoot "
    "thead tr ul h1 h2 h3 h4 h5 h6 pre"
)
_SPACED_TAGS = "p h1 h2 h3 h4 h5 h6 pre table ul ol dl blockquote section article figure"
_DROPPED = frozenset(_DROPPED_TAGS.split())
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_SPACED = frozenset(_SPACED_TAGS.split())
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_CHARSET = re.compile(rb"<meta[^>]{0,256}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\n\f\xa0]+")
_HEAD = 4096


def read_html(content: bytes) -> str:
    """The visible text: a line for a block, an empty line around paragraphs, `pre` as fenced code."""
    declared = _CHARSET.search(content[:_HEAD])
    tree = LexborHTMLParser(decode(content, declared.group(1).decode("ascii") if declared else None))
    writer = _Writer()
    title = tree.css_first("head > title")
    if title is not None and tree.css_first("h1") is None and title.text(strip=True):
        writer.heading(_HEADINGS["h1"])
        writer.words(title.text())
        writer.block(spaced=True)
    if tree.body is not None:
        for node, entering in _walk(tree.body):
            writer.step(node, entering)
    return clean(writer.finish())


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node not dropped, when it opens (True) and when it closes; a stack, for nesting of any depth."""
    stack = [(root, True)]
    while stack:
        node, entering = stack.pop()
        if entering and node.tag in _DROPPED:
            continue
        yield node, entering
        if entering:
            stack.append((node, False))
            child = node.last_child
            while child is not None:
                stack.append((child, True))
                child = child.prev


class _Writer:
    """Lines of text as blocks open and close."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._line: list[str] = []
        self._prefix = ""
        self._verbatim = 0

    def step(self, node: LexborNode, entering: bool) -> None:
        tag = node.tag
        if tag == "-text":
            if entering:
                self._text(node.text_content or "")
        elif tag == "br":
            if entering:
                self._break()
        elif tag in ("td", "th"):
            if not entering:
                self._line.append("\t")
        elif tag == "pre":
            self._fence(entering)
        elif tag in _BLOCKS:
            self.block(spaced=tag in _SPACED)
            if entering and tag in _HEADINGS:
                self.heading(_HEADINGS[tag])
            elif entering and tag == "li":
                self._prefix = "- "

    def heading(self, mark: str) -> None:
        self._prefix = mark

    def words(self, text: str) -> None:
        self._line.append(_BLANKS.sub(" ", text))

    def block(self, *, spaced: bool) -> None:
        self._break()
        if spaced and self._parts and self._parts[-1] != "":
            self._parts.append("")

    def finish(self) -> str:
        self._break()
        return "\n".join(self._parts).strip("\n")

    def _text(self, text: str) -> None:
        if self._verbatim:
            self._line.append(text)
        else:
            self.words(text)

    def _fence(self, entering: bool) -> None:
        if entering and not self._verbatim:
            self.block(spaced=True)
            self._parts.append("```")
        self._verbatim += 1 if entering else -1
        if not entering and not self._verbatim:
            self._parts.append("".join(self._line).strip("\n"))
            self._line = []
            self._parts += ["```", ""]

    def _break(self) -> None:
        if self._verbatim:
            self._line.append("\n")
            return
        cells = "".join(self._line).split("\t")
        line = " | ".join(cell.strip() for cell in cells if cell.strip())
        line = _BLANKS.sub(" ", line)
        if line:
            self._parts.append(self._prefix + line)
        self._prefix = "" if line else self._prefix
        self._line = []
