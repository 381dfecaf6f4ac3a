import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors import spawn
from actors.compressor import SHORT_CHARACTERS, Compressor
from actors.messages import InvalidRequest, NotReady, TooLarge
from configs.schema import CompressionSettings, EngineSettings, Settings

TEXT = (
    "The ferry to the island leaves at 7:30 each morning and takes 45 minutes when the sea is calm. "
    "Dogs are not allowed on the upper deck, and bicycles must be left with the crew near the stern. "
    "In the village there is one shop, which sells bread, stamps and maps of all the paths. "
)


def settings(engine: EngineSettings | None = None, **compression: object) -> Settings:
    return Settings(
        engine=engine or EngineSettings(kind="scripted"),
        compression=CompressionSettings.model_validate(compression),
    )


@pytest.fixture
async def compressor() -> AsyncIterator[Compressor]:
    made = Compressor(settings())
    await made.start()
    yield made
    await made.close()


async def test_short_and_long_texts_are_cut_to_their_budget(compressor: Compressor) -> None:
    for times in (1, 40):
        assert (len(TEXT * times) > SHORT_CHARACTERS) is (times == 40)
        found = await compressor.compress(TEXT * times, 0.6)
        assert not found.bypassed
        assert abs(found.tokens_after / found.tokens_before - 0.6) <= 0.02
        assert found.text.count("not allowed") == times
        assert found.protected >= 3 * times
        assert found.seconds > 0


async def test_scores_are_stored_and_used_later(compressor: Compressor) -> None:
    texts = [TEXT, TEXT.upper()]
    stored = await compressor.scores(texts)
    found = await compressor.shorten(texts, stored, 0.6)
    again = await compressor.shorten(texts, stored, 0.6)
    assert [one.text for one in found] == [one.text for one in again]
    assert all(abs(one.tokens_after / one.tokens_before - 0.6) <= 0.02 for one in found)


async def test_it_bypasses_what_would_not_pay(compressor: Compressor) -> None:
    whole = await compressor.compress(TEXT, 0.5, cached_tokens=10_000)
    forced = await compressor.compress(TEXT, 0.5, cached_tokens=10_000, force=True)
    assert whole.bypassed
    assert whole.text == TEXT
    assert whole.tokens_after == whole.tokens_before == forced.tokens_before
    assert not forced.bypassed
    assert (await compressor.plan(20)).bypass
    assert (await compressor.plan(2000, "auto")).budget == 0.5


async def test_a_fast_engine_makes_it_bypass() -> None:
    quick = EngineSettings(kind="torch", model="here")
    compressor = Compressor(settings(quick))
    assert not (await compressor.plan(2000, 0.5)).bypass
    await compressor.prefilled(2000, 0, 1e-4)
    assert (await compressor.plan(2000, 0.5)).bypass


async def test_a_scripted_engine_is_not_measured(compressor: Compressor) -> None:
    await compressor.prefilled(2000, 0, 1e-4)
    assert not (await compressor.plan(2000, 0.5)).bypass


@pytest.mark.parametrize("text", ["", " \n ", "a \ud800 b"])
async def test_texts_that_are_none_are_refused(compressor: Compressor, text: str) -> None:
    with pytest.raises(InvalidRequest):
        await compressor.compress(text, 0.5)


@pytest.mark.parametrize("budget", [0, -1, 1.1, float("nan"), float("inf")])
async def test_budgets_that_are_no_share_are_refused(compressor: Compressor, budget: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await compressor.compress(TEXT, budget)
    assert caught.value.param == "budget"


async def test_texts_past_the_limit_are_refused() -> None:
    compressor = Compressor(settings(max_characters=1000))
    await compressor.start()
    with pytest.raises(TooLarge):
        await compressor.compress("a " * 501)
    with pytest.raises(TooLarge):
        await compressor.scores(["a " * 501])
    await compressor.close()


async def test_it_is_ready_between_start_and_close() -> None:
    compressor = Compressor(settings())
    with pytest.raises(NotReady):
        await compressor.compress(TEXT)
    assert not (await compressor.health()).ok
    await compressor.start()
    await compressor.start()
    assert (await compressor.health()).ok
    await compressor.close()
    with pytest.raises(NotReady):
        await compressor.compress(TEXT)


async def test_off_it_loads_nothing_and_says_so(tmp_path: Path) -> None:
    compressor = Compressor(settings(enabled=False, policy=tmp_path / "none.safetensors"))
    await compressor.start()
    assert (await compressor.health()).ok
    with pytest.raises(InvalidRequest, match=r"compression\.enabled"):
        await compressor.compress(TEXT)


async def test_a_policy_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no file"):
        await Compressor(settings(policy=tmp_path / "none.safetensors")).start()


async def test_many_at_once_are_as_one_by_one(compressor: Compressor) -> None:
    texts = [TEXT * times for times in (1, 12, 20, 2, 15)]
    together = await asyncio.gather(*[compressor.compress(text, 0.6) for text in texts])
    assert [one.text for one in together] == [(await compressor.compress(text, 0.6)).text for text in texts]


@pytest.mark.ray
@pytest.mark.usefixtures("ray_runtime")
async def test_as_a_ray_actor_it_does_the_same(compressor: Compressor) -> None:
    apart = spawn.on_ray(Compressor, settings(), placement=spawn.Placement(num_cpus=0))
    await apart.start()
    here = await compressor.compress(TEXT * 9, 0.6, question="When does the ferry leave?")
    there = await apart.compress(TEXT * 9, 0.6, question="When does the ferry leave?")
    assert (there.text, there.kept, there.tokens_after) == (here.text, here.kept, here.tokens_after)
    assert await apart.scores([TEXT]) == await compressor.scores([TEXT])
    with pytest.raises(InvalidRequest):
        await apart.compress(TEXT, 2)
    await spawn.stop(apart)
