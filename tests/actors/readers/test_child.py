import json

import pytest

from actors.messages import TooLarge, Unprocessable
from actors.readers.child import Limits, read


def limits(media_type: str, max_characters: int = 100) -> Limits:
    return Limits(media_type=media_type, max_characters=max_characters, max_pages=9, cpu_s=9, memory_mib=128)


def test_limits_pass_the_command_line() -> None:
    assert Limits(**json.loads(limits("text/html").encode())) == limits("text/html")


def test_each_type_has_its_reader(pdf) -> None:
    assert read(b"<p>a", limits("text/html")) == "a"
    assert read(b"<p>a", limits("text/plain")) == "<p>a"
    assert read(pdf(b"a"), limits("application/pdf")) == "a"


def test_a_text_must_be_there_and_fit(pdf) -> None:
    for content, media_type in ((b" ", "text/plain"), (b"<p>", "text/html"), (pdf(), "application/pdf")):
        with pytest.raises(Unprocessable, match="no text"):
            read(content, limits(media_type))
    with pytest.raises(TooLarge):
        read(b"x" * 101, limits("text/plain"))
