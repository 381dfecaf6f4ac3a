import pytest

from actors.messages import TooLarge, Unprocessable
from actors.readers.pdf import read_pdf


def test_lines_pages_and_joined_words(pdf) -> None:
    assert read_pdf(pdf(b"The har-", b"bour opens."), 9, 999) == "The harbour opens."


def test_too_many_characters(pdf) -> None:
    with pytest.raises(TooLarge, match="characters"):
        read_pdf(pdf(b"x" * 50), 9, 20)


def test_too_many_pages(hostile_pdfs) -> None:
    with pytest.raises(TooLarge, match="more than 9 pages"):
        read_pdf(hostile_pdfs["a million pages"], 9, 999)


def test_a_password(encrypted_pdf) -> None:
    with pytest.raises(Unprocessable, match="password"):
        read_pdf(encrypted_pdf, 9, 999)
