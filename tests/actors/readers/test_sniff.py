import pytest

from actors.messages import UnreadableType
from actors.readers.sniff import HTML, MARKDOWN, PDF, PLAIN, media_type_of


@pytest.mark.parametrize(
    ("name", "content", "claimed", "expected"),
    [
        ("a.txt", b"text", None, PLAIN),
        ("a.py", b"print()", None, PLAIN),
        ("docs/A.MD", b"# x", None, MARKDOWN),
        ("a.htm", b"<p>", "text/plain", HTML),
        ("a.pdf", b"%PDF-1.7", None, PDF),
        ("upload", b"junk before\n%PDF-1.7", None, PDF),
        ("upload", b"\xef\xbb\xbf <!DOCTYPE html>", None, HTML),
        ("upload", b"# x", "text/markdown; charset=utf-8", MARKDOWN),
        ("upload", b"x", "application/pdf", PLAIN),
        ("a.txt", "x".encode("utf-16"), None, PLAIN),
        ("a.txt", b"<html>", None, PLAIN),
    ],
)
def test_types(name: str, content: bytes, claimed: str | None, expected: str) -> None:
    assert media_type_of(name, content, claimed) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"PK\x03\x04"),
        ("a.md", b"\x7fELF"),
        ("a.png", b"\x89PNG\r\n"),
        ("a.jpg", b"plain text under a picture's name"),
        ("a.pdf", b"plain text"),
        ("a.html", b"%PDF-1.4"),
        ("a.txt", b"%PDF-1.4"),
        ("a.txt", b"te\0xt"),
        ("a", b"\x1f\x8b\x08"),
    ],
)
def test_what_no_reader_takes_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(UnreadableType):
        media_type_of(name, content)
