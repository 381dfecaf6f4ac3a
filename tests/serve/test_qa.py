"""The way from question to answer over a real keeper; the generator is a ten-line stand-in."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.memory.questions import analyse
from actors.messages import ContextLengthExceeded, InvalidRequest, NotFound, TextDelta
from configs.schema import DocumentSettings, Settings
from serve.documents import add
from serve.metrics import Metrics
from serve.qa import NO_ANSWER, NO_USAGE, Asked, answer, find, is_borne_out
from serve.services import Services

CLUB = (
    b"The Harrow Lantern Club was founded by Ann Lee in 1850. It owned twelve boats. "
    b"Its members sailed on the river Wend every summer.\n\n"
    b"The boathouse burned down in 1902 and was rebuilt in brick by the architect Tom Hale."
)
HILLS = b"Sheep graze on the northern hills. The wool is sold at the autumn market in Dunmere."


class WordHashEmbedder:
    async def embed(self, texts: Sequence[str]) -> Any:
        vectors = np.full((len(texts), 256), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().replace(".", " ").replace("?", " ").split():
                row[zlib.crc32(word.encode()) % 256] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Says:
    """Generates one text and keeps what it was asked."""

    def __init__(self, text: str = "", error: Exception | None = None) -> None:
        self.text, self.error, self.prompts = text, error, cast(list[Any], [])

    async def generate(self, request_id: str, prompt: Any, *_: Any) -> AsyncGenerator[TextDelta]:
        self.prompts.append(prompt)
        if self.error:
            raise self.error
        yield TextDelta(text=self.text, finish_reason="stop", prompt_tokens=9, completion_tokens=2)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    settings = Settings(home=tmp_path, documents=DocumentSettings(vector_cache=False, chunk_words=40))
    keeper = Keeper(tmp_path / "documents", settings.documents)
    await keeper.start()
    embedder = cast(Embedder, WordHashEmbedder())
    made = Services(
        settings=settings,
        generator=speaking(""),
        embedder=embedder,
        keeper=keeper,
        compressor=Compressor(settings),
    )
    await add(made, "u", "club.txt", CLUB, "assistants")
    await add(made, "u", "hills.txt", HILLS, "assistants")
    yield made
    await keeper.close()


def speaking(text: str, error: Exception | None = None) -> Generator:
    return cast(Generator, Says(text, error))


async def ask(services: Services, question: str, generator: Generator, **changes: Any) -> Any:
    from dataclasses import replace

    asked = Asked(**{"question": question, "k": 5, "model": "m", **changes})
    return await answer(replace(services, generator=generator), Metrics("m"), "u", asked)


QUESTION = "Who founded the Harrow Lantern Club?"


async def test_an_answer_rests_on_quotes_with_exact_offsets(services: Services) -> None:
    given = await ask(services, QUESTION, speaking("Ann Lee"))
    assert (given.answer, given.abstained) == ("Ann Lee", False)
    assert given.quote == given.citations[0].quote
    assert "Ann Lee" in given.quote
    assert 0 < len(given.citations) <= 3
    assert given.support_score > 0.5
    for one in given.citations:
        text = await services.keeper.file_text("u", one.document_id)
        assert text[one.start : one.end] == one.quote
    assert given.usage == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert set(given.as_json()["citations"][0]) == {
        "document_id",
        "filename",
        "start",
        "end",
        "quote",
        "score",
    }


@pytest.mark.parametrize("said", ["Bob Stone", "The Harrow Lantern Club was founded.", "", "who?"])
async def test_words_that_the_quotes_do_not_bear_out_give_way_to_the_quote(
    services: Services, said: str
) -> None:
    given = await ask(services, QUESTION, speaking(said))
    assert given.answer == given.quote
    assert "Ann Lee" in given.quote


async def test_the_model_sees_the_quotes_and_nothing_else(services: Services) -> None:
    says = Says("Ann Lee")
    given = await ask(services, QUESTION, cast(Generator, says))
    (prompt,) = says.prompts
    text = prompt.messages[0]["content"]
    assert all(one.quote in text for one in given.citations)
    assert "Sheep" not in text or any("Sheep" in one.quote for one in given.citations)


async def test_it_abstains_when_nothing_supports_an_answer(services: Services) -> None:
    says = Says("Paris")
    given = await ask(services, "Which enzyme digests lactose in infants?", cast(Generator, says))
    assert given.abstained
    assert (given.answer, given.quote, given.citations, given.usage) == (NO_ANSWER, "", (), NO_USAGE)
    assert says.prompts == []


async def test_a_user_without_documents_gets_no_answer(services: Services) -> None:
    asked = Asked(question=QUESTION, k=5, model="m")
    given = await answer(services, Metrics("m"), "another", asked)
    assert given.abstained
    assert given.support_score == 0


async def test_only_the_named_stores_are_read(services: Services) -> None:
    files = {one.filename: one.id for one in await services.keeper.list_files("u")}
    store = await services.keeper.create_store("u", "e", "hills", [files["hills.txt"]], {})
    found = await find(services, "u", Asked(question=QUESTION, k=5, model="m", store_ids=[store.id]))
    assert {one.filename for one in found.passages} == {"hills.txt"}
    with pytest.raises(NotFound):
        await find(services, "u", Asked(question=QUESTION, k=5, model="m", store_ids=["vs_none"]))


async def test_an_empty_question_is_refused(services: Services) -> None:
    with pytest.raises(InvalidRequest):
        await ask(services, " \n", speaking(""))


async def test_quotes_too_long_for_the_model_still_answer(services: Services) -> None:
    error = ContextLengthExceeded("too long")
    given = await ask(services, QUESTION, speaking("", error))
    assert given.answer == given.quote
    with pytest.raises(ContextLengthExceeded):
        await ask(services, QUESTION, speaking("", error), max_tokens=10**6)


def test_borne_out_means_something_new_and_nothing_foreign() -> None:
    question = analyse("Who founded the club?", {})
    quotes = ["The club was founded by Ann Lee in 1850."]
    assert is_borne_out(question, "It was Ann Lee who founded it.", quotes)
    assert not is_borne_out(question, "Ann Smith", quotes)
    assert not is_borne_out(question, "The club was founded.", quotes)
