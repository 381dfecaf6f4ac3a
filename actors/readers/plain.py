"""Bytes to text: finds the encoding and makes newlines alike. Knows no markup."""

import codecs
import re

from actors.messages import Unprocessable, UnreadableType

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NEWLINE = re.compile("\r\n?|\v|\x85")
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(content: bytes, declared: str | None = None) -> str:
    """Text by byte order mark, then UTF-8, then what the file declares, then a guess.

    Raises Unprocessable where no encoding fits, UnreadableType where the text has NUL characters.
    """
    text = _decoded(content, declared)
    if "\0" in text:
        raise UnreadableType("the file has NUL characters, which no text has")
    return clean(text)


def clean(text: str) -> str:
    """Newlines as `\\n`, no control characters but tab, newline and form feed, no lone surrogates."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", _NEWLINE.sub("\n", text)))


def _decoded(content: bytes, declared: str | None) -> str:
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _strict(content[len(mark) :], encoding)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if declared is not None:
        try:
            return content.decode(declared)
        except (LookupError, UnicodeError):
            pass
    return _strict(content, _guess(content))


def _strict(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeError as error:
        raise Unprocessable(f"the file is not valid {encoding} text; save it as UTF-8") from error


def _guess(content: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(content).best()
    if best is None:
        raise UnreadableType("the file is not text in any known encoding; save it as UTF-8")
    return best.encoding
