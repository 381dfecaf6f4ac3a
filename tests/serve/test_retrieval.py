import pytest

from actors.messages import Passage
from serve.retrieval import cited, with_passages

PASSAGE = Passage(document_id="f", filename="a.md", start=3, end=8, text="Lyra!", score=0.5)
ASKED = {"role": "user", "content": "Who?"}


def test_a_citation_quotes_the_whole_passage() -> None:
    found = cited(PASSAGE)
    assert (found.quote, found.start, found.end, found.filename) == ("Lyra!", 3, 8, "a.md")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_passages_join_the_system_message_that_is_there(role: str) -> None:
    first, second = with_passages([{"role": role, "content": "Be brief."}, ASKED], [PASSAGE])
    assert first["role"] == role
    assert first["content"].startswith("Be brief.\n\n")
    assert first["content"].endswith("[1] a.md\nLyra!")
    assert second == ASKED


def test_else_they_become_one_and_none_change_nothing() -> None:
    first, second = with_passages([ASKED], [PASSAGE])
    assert (first["role"], second) == ("system", ASKED)
    assert with_passages([ASKED], []) == (ASKED,)
