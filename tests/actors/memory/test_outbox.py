from typing import Any

from actors.keeper import Keeper
from actors.memory import outbox


async def replayed(keeper: Keeper) -> dict[int, set[int]]:
    """What a cache holds that hears the outbox from its beginning."""
    held: dict[int, set[int]] = {}
    while batch := await keeper._workers.read(outbox.next_batch):
        ids = set(batch.chunks.tolist())
        mine = held.setdefault(batch.user, set())
        held[batch.user] = mine - ids if batch.vectors is None else mine | ids
        assert batch.vectors is None or len(batch.vectors) == len(batch.chunks)
        await keeper._workers.write(outbox.told, batch.rows)
    return {user: ids for user, ids in held.items() if ids}


async def test_the_outbox_tells_the_truth(keeper: Keeper, add: Any) -> None:
    await add("a.txt", "one\ntwo")
    await add("b.txt", "three", user="other")
    await add("a.txt", "four\nfive\nsix")
    await keeper.delete_file("u", (await add("c.txt", "seven")).id)
    assert await replayed(keeper) == await keeper._workers.read(outbox.truth)


async def test_after_a_refill_it_tells_everything_again(keeper: Keeper, add: Any) -> None:
    await add("a.txt", "one\ntwo")
    await replayed(keeper)
    assert await replayed(keeper) == {}
    await keeper.delete_file("u", (await add("c.txt", "seven")).id)
    assert await keeper._workers.read(outbox.has_residue)
    await keeper._workers.write(outbox.refill)
    assert not await keeper._workers.read(outbox.has_residue)
    assert await replayed(keeper) == await keeper._workers.read(outbox.truth)


async def test_vectors_of_what_is_gone_are_not_told(keeper: Keeper, add: Any) -> None:
    info = await add("a.txt", "one\ntwo")
    await keeper.delete_file("u", info.id)
    batch = await keeper._workers.read(outbox.next_batch)
    assert batch.vectors is None
    assert len(batch.chunks) == 2
