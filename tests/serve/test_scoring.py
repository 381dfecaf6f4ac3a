import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.messages import Gone, KeepScores
from configs.schema import CompressionSettings, Settings
from serve import scoring
from serve.scoring import BATCH, score_missing
from serve.services import Services


class Waiting:
    """Passages without keep-scores, of several users in turn."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.rows = [(f"user{number % 3}", number, text) for number, text in enumerate(texts)]
        self.kept: dict[int, KeepScores] = {}
        self.deaf = False
        self.asked = 0

    async def unscored(self, policy: str, limit: int) -> list[tuple[str, int, str]]:
        self.asked += 1
        return [row for row in self.rows if row[1] not in self.kept][:limit]

    async def put_scores(self, user: str, chunk_ids: Sequence[int], keep: Sequence[KeepScores]) -> None:
        assert {row[0] for row in self.rows if row[1] in chunk_ids} == {user}
        if not self.deaf:
            self.kept |= dict(zip(chunk_ids, keep, strict=True))


class Lengths:
    """A text's keep-scores are its length."""

    error: Exception | None = None

    async def policy(self) -> str:
        if self.error:
            raise self.error
        return "p1"

    async def scores(self, texts: Sequence[str]) -> list[KeepScores]:
        assert len(texts) <= BATCH
        return [KeepScores("p1", str(len(text)).encode()) for text in texts]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PAUSE_S", 0)
    monkeypatch.setattr(scoring, "READ", 3 * BATCH)


def services_of(keeper: Waiting, compressor: Any = None, **compression: Any) -> Services:
    settings = Settings(compression=CompressionSettings(**compression))
    return cast(
        Services, SimpleNamespace(settings=settings, keeper=keeper, compressor=compressor or Lengths())
    )


async def test_every_passage_gets_its_own_scores() -> None:
    keeper = Waiting(["x" * number for number in range(7 * BATCH + 5)])
    await score_missing(services_of(keeper))
    assert keeper.kept == {row[1]: KeepScores("p1", str(row[1]).encode()) for row in keeper.rows}


async def test_texts_too_long_to_be_shortened_are_not_found_again() -> None:
    keeper = Waiting(["short", "x" * 1001])
    await score_missing(services_of(keeper, max_characters=1000))
    assert keeper.kept == {0: KeepScores("p1", b"5"), 1: KeepScores("p1", b"")}


async def test_it_ends_where_nothing_sticks_or_it_is_off() -> None:
    keeper = Waiting(["a", "b"])
    keeper.deaf = True
    await score_missing(services_of(keeper))
    assert keeper.asked == 2
    await score_missing(services_of(keeper, enabled=False))
    assert keeper.asked == 2


async def test_a_compressor_in_trouble_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    compressor = Lengths()
    compressor.error = Gone("the compressor died")
    with caplog.at_level(logging.WARNING):
        await score_missing(services_of(Waiting(["a"]), compressor))
    assert "the compressor died" in caplog.text
