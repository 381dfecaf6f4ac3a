from typing import Any

import pytest

from actors.keeper import Keeper
from actors.messages import InvalidRequest, NotFound

LINES = [
    "The Harrow Lantern Club was founded by Ann Lee in 1850.",
    "Sheep graze on the northern hills of the county.",
    "The club owned twelve boats and one pier.",
]


async def test_the_answering_passage_comes_first_with_its_place(
    keeper: Keeper, add: Any, vectors_of: Any
) -> None:
    stored = await add("club.txt", "\n".join(LINES))
    (vector,) = vectors_of(1, 99)
    found = await keeper.search("u", "Who founded the Harrow Lantern Club?", vector, k=3)
    assert found[0].text == LINES[0]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    text = await keeper.file_text("u", stored.id)
    assert all(text[one.start : one.end] == one.text for one in found)
    assert {one.lead for one in found} == {LINES[0]}
    assert 0.0 < found[0].parts["placed"] <= 1.0


async def test_a_passage_that_shares_no_word_is_found_by_its_vector(
    keeper: Keeper, add: Any, vectors_of: Any
) -> None:
    await add("club.txt", "\n".join(LINES))
    vector = vectors_of(3, 1)[1]
    (found,) = await keeper.search("u", "zzz qqq", vector, k=1)
    assert found.text == LINES[1]
    assert found.parts["cosine"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "query", ["", "???", "the of", 'x" OR "y', "NEAR(a b)", "word " * 5000, "a\0b", "\ud800"]
)
async def test_any_query_is_answered(keeper: Keeper, add: Any, vectors_of: Any, query: str) -> None:
    await add("club.txt", "\n".join(LINES))
    assert len(await keeper.search("u", query, vectors_of(1)[0], k=2)) == 2


async def test_no_more_than_there_is_and_only_ones_own(keeper: Keeper, add: Any, vectors_of: Any) -> None:
    await add("club.txt", "\n".join(LINES))
    await add("other.txt", LINES[0], user="v")
    (vector,) = vectors_of(1)
    assert len(await keeper.search("u", "club", vector, k=50)) == 3
    assert await keeper.search("nobody", "club", vector, k=5) == []
    with pytest.raises(NotFound):
        await keeper.search("u", "club", vector, store_ids=["vs_none"], k=5)
    with pytest.raises(InvalidRequest):
        await keeper.search("", "club", vector, k=5)


async def test_rare_words_weigh_more_and_unknown_ones_most(keeper: Keeper, add: Any) -> None:
    await add("club.txt", "\n".join(LINES))
    rarity = await keeper.rarity("u", "Which club owned the pier and the yacht?")
    assert rarity["yacht"] > rarity["pier"] > rarity["club"] > 0
    assert set(rarity) == {"club", "owned", "pier", "yacht"}
    assert await keeper.rarity("nobody", "club") == {"club": pytest.approx(0.693, abs=1e-3)}
    with pytest.raises(NotFound):
        await keeper.rarity("u", "club", store_ids=["vs_none"])
