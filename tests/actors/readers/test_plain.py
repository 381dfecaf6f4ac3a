import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Unprocessable, UnreadableType
from actors.readers.plain import clean, decode

GERMAN = "Überall größere Straßen, ein schöner Tag für Köln und Düsseldorf."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_encodings(encoding: str) -> None:
    assert decode(GERMAN.encode(encoding)) == GERMAN


def test_a_declared_encoding_comes_before_a_guess() -> None:
    assert decode("да".encode("cp1251"), "windows-1251") == "да"
    assert decode(GERMAN.encode("latin-1"), "no-such-encoding") == GERMAN


def test_newlines_are_alike_and_controls_are_gone() -> None:
    assert decode(b"a\r\nb\rc\x0bd\x01\x1b[31me\tf") == "a\nb\nc\nd[31me\tf"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert "\r" not in once
    once.encode()


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(UnreadableType):
        decode("a\0b".encode("utf-16"))
    with pytest.raises(Unprocessable, match="utf-16"):
        decode(b"\xff\xfea")
    with pytest.raises(UnreadableType):
        decode(bytes(range(1, 256)) * 10)
