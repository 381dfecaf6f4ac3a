"""Questions that ask for compression: what the model reads is shortened, what is cited never."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.compression.counting import ScriptedCounter
from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.messages import Capabilities, Compressed, NotReady, Passage, TextDelta
from configs.schema import (
    CompressionSettings,
    DocumentSettings,
    EngineSettings,
    ModelSettings,
    Settings,
)
from serve.documents import add
from serve.metrics import Metrics
from serve.qa import Asked, answer, find
from serve.retrieval import reach, within
from serve.services import Services
from serve.shortening import Shortening

COUNT = ScriptedCounter().count
FILLING = (
    "The people who came from the other towns of the country carried what they had with them along the road "
    "to the old market, and many of them stayed there for most of the winter that followed. "
)
CLUBS = {
    name: f"{FILLING}The {name} Lantern Club was founded by Ann {name} in {year}. {FILLING}"
    for name, year in zip(
        ("Harrow", "Wend", "Dunmere", "Tarn", "Pell", "Orrin"), range(1850, 1856), strict=True
    )
}
QUESTION = "Who founded the Harrow Lantern Club?"


class Says:
    """Generates one text and keeps what it was asked."""

    def __init__(self, text: str = "Ann Harrow") -> None:
        self.text, self.prompts = text, cast(list[Any], [])
        self.max_context = 8192

    async def generate(self, request_id: str, prompt: Any, *_: Any) -> AsyncGenerator[TextDelta]:
        self.prompts.append(prompt.messages[0]["content"])
        yield TextDelta(text=self.text, finish_reason="stop", prompt_tokens=9, completion_tokens=2)

    async def capabilities(self) -> Capabilities:
        return Capabilities(engine="says", model="m", max_context=self.max_context)

    async def count(self, prompt: str) -> int:
        return COUNT(prompt)


def settings_at(home: Path) -> Settings:
    """Prefill is so slow that shortening always pays."""
    return Settings(
        home=home,
        engine=EngineSettings(kind="scripted"),
        models=ModelSettings(embedder="hash"),
        documents=DocumentSettings(vector_cache=False),
        compression=CompressionSettings(prefill_us=1e6),
    )


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = settings_at(tmp_path)
    services = Services(
        settings=made,
        generator=cast(Generator, Says()),
        embedder=Embedder(made),
        keeper=Keeper(tmp_path / "store", made.documents),
        compressor=Compressor(made),
    )
    parts = (services.keeper, services.embedder, services.compressor)
    for part in parts:
        await part.start()
    for name, text in CLUBS.items():
        await add(services, "u", f"{name}.txt", text.encode(), "assistants")
    yield services
    for part in reversed(parts):
        await part.close()


async def ask(
    services: Services, budget: Any = 0.5, k: int = 2, question: str = QUESTION, aware: bool = False
) -> Any:
    shortening = None if budget is None else Shortening(services, budget, aware)
    asked = Asked(question=question, k=k, model="m", shortening=shortening)
    return await answer(services, Metrics("m"), "u", asked)


@pytest.mark.parametrize("aware", [False, True])
async def test_more_passages_are_read_in_the_room_of_k(services: Services, aware: bool) -> None:
    says = cast(Says, services.generator)
    plain = await ask(services, None)
    given = await ask(services, aware=aware)
    before, after = says.prompts
    assert plain.compression is None
    assert "compression" not in plain.as_json()
    assert given.citations == plain.citations
    assert all(one.quote in after for one in given.citations)
    saved = given.as_json()["compression"]
    assert not saved["bypassed"]
    assert saved["tokens_after"] <= 2 * max(COUNT(text) for text in CLUBS.values())
    assert saved["tokens_before"] > 1.5 * saved["tokens_after"]
    assert sum(name in after for name in CLUBS) > sum(name in before for name in CLUBS) or len(after) > len(
        before
    )


async def test_every_cited_place_is_the_documents_own(services: Services) -> None:
    for budget in ("auto", 5e-324, 0.3, 0.9, 1.0):
        given = await ask(services, budget, k=3)
        assert given.answer == "Ann Harrow"
        for one in given.citations:
            text = await services.keeper.file_text("u", one.document_id)
            assert text[one.start : one.end] == one.quote


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sentences=st.lists(
        st.text(alphabet="abc dé\n\t.,“”'1€", min_size=5, max_size=80).filter(str.strip),
        min_size=1,
        max_size=12,
    ),
    budget=st.sampled_from([0.1, 0.3, 0.5, 0.7, "auto"]),
)
async def test_citations_are_exact_whatever_the_text(
    services: Services, sentences: Sequence[str], budget: Any
) -> None:
    text = f"{' '.join(sentences)} The Zorn Club was founded by Ann Zorn. {FILLING}{' '.join(sentences)}"
    info = await add(services, "w", "zorn.txt", text.encode(), "assistants")
    stored = await services.keeper.file_text("w", info.id)
    shortening = Shortening(services, budget)
    asked = Asked(question="Who founded the Zorn Club?", k=3, model="m", shortening=shortening)
    given_ = await answer(services, Metrics("m"), "w", asked)
    for one in given_.citations:
        assert stored[one.start : one.end] == one.quote
    assert shortening.tokens_after <= shortening.tokens_before


async def test_evidence_is_the_same_with_and_without(services: Services) -> None:
    plain = await find(services, "u", Asked(question=QUESTION, k=2, model="m"))
    asked = Asked(question=QUESTION, k=2, model="m", shortening=Shortening(services, 0.5))
    found = await find(services, "u", asked)
    assert (found.passages, found.sentences, found.support) == (
        plain.passages,
        plain.sentences,
        plain.support,
    )
    assert plain.further == ()
    assert 0 < len(found.further) <= reach(cast(Shortening, asked.shortening), 2) - 2
    assert not {one.document_id for one in found.further} & {one.document_id for one in found.passages}


@pytest.mark.parametrize("aware", [False, True])
async def test_a_small_context_takes_what_fits(services: Services, aware: bool) -> None:
    says = cast(Says, services.generator)
    says.max_context = 240
    given = await ask(services, aware=aware)
    assert given.answer == "Ann Harrow"
    assert COUNT(says.prompts[-1]) < 240


async def test_a_compressor_in_trouble_answers_from_the_quotes(services: Services) -> None:
    off = replace(services, compressor=Compressor(services.settings))
    plain = await ask(services, None)
    given = await ask(off, aware=True)
    says = cast(Says, services.generator)
    assert given.compression == "unavailable"
    assert says.prompts[0] == says.prompts[1]
    assert given.answer == plain.answer
    with pytest.raises(NotReady):
        await off.compressor.policy()


async def test_abstaining_says_that_nothing_was_shortened(services: Services) -> None:
    given = await ask(services, question="Which enzyme digests lactose in infants?")
    assert given.abstained
    assert given.compression == {"tokens_before": 0, "tokens_after": 0, "bypassed": True}


class Halving:
    """Halves every text; counts characters."""

    async def shorten(self, texts: Sequence[str], *_: Any, **__: Any) -> list[Compressed]:
        return [
            Compressed(
                text=one[: len(one) // 2],
                kept=((0, len(one) // 2),),
                tokens_before=len(one),
                tokens_after=len(one) // 2,
                budget=0.5,
            )
            for one in texts
        ]


async def test_the_room_of_k_whole_passages_is_filled_best_first(services: Services) -> None:
    made = replace(services, compressor=cast(Compressor, Halving()))
    lengths = (100, 60, 200, 40, 50, 90)
    passages = [
        Passage(document_id="d", filename="f", start=0, end=size, text="x" * size, score=1.0)
        for size in lengths
    ]
    shortening = Shortening(made, 0.5)
    texts = await within(shortening, passages, 2, "q", 10**6)
    assert [len(text) for text in texts] == [50, 30, 20, 25]
    assert (shortening.tokens_before, shortening.tokens_after) == (250, 125)
    assert [len(text) for text in await within(Shortening(made, 0.5), passages, 2, "q", 60)] == [50]
