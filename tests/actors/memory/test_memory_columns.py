"""Columns held in memory are those that a first reading gives, whatever happened in between."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory import memory_columns
from actors.memory.memory_columns import Held
from actors.memory.records import Forgetting, NewMemory
from actors.memory.vectors import Matrices


def read(keeper: Keeper, matrices: Matrices, limit: int = 1000) -> Any:
    return keeper._open.read(memory_columns.held, matrices, 1, limit)


def by_memory(held: Held) -> dict[int, tuple[Any, ...]]:
    """All that is said of each memory; numbers of names are written out."""
    sessions, agents, speakers = (
        list(names.numbers) for names in (held.sessions, held.agents, held.speakers)
    )
    rows = held.rows
    vectors = [
        None if at < 0 or held.matrix is None else held.matrix.room[at].tobytes()
        for at in rows["vector"].tolist()
    ]
    plain = ("ordinal", "words", "said_at", "importance", "archived", "merged", "expires_at")
    return {
        number: (
            sessions[rows["session"][row]],
            agents[rows["agent"][row]],
            speakers[rows["speaker"][row]],
            vectors[row],
            *(rows[name][row] for name in plain),
        )
        for row, number in enumerate(rows["number"].tolist())
    }


def check_order(held: Held) -> None:
    rows = held.rows
    order = np.lexsort((rows["number"], rows["ordinal"], rows["session"]))
    assert order.tolist() == list(range(len(order)))
    assert rows["number"][held.by_number].tolist() == sorted(rows["number"].tolist())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limit", [1000, 6])
async def test_step_by_step_and_at_once_are_the_same(
    keeper: Keeper, vectors_of: Any, seed: int, limit: int
) -> None:
    chance = random.Random(seed)
    matrices = Matrices(1 << 20)
    ids: list[str] = []
    for step in range(40):
        what = chance.choice(["add", "add", "late", "edit", "weigh", "forget"])
        event, one = f"e{step}", chance.choice(ids) if ids else ""
        if what in {"add", "late"} or not ids:
            new = [
                NewMemory(text=f"word{step} {n}", speaker=chance.choice(["", "Ann"]), kind="turn")
                for n in range(chance.randint(1, 3))
            ]
            vectors = vectors_of(len(new), step) if what == "add" else None
            session = chance.choice("abc")
            written = await keeper.remember("u", event, new, vectors, session=session)
            ids += [memory.id for memory in written]
            if what == "late":
                await keeper.put_vectors("u", [written[0].id], vectors_of(1, step))
        elif what == "edit":
            vector = chance.choice([None, vectors_of(1, step)[0]])
            await keeper.update_memory("u", event, one, text=f"edited in {step}", vector=vector)
        elif what == "weigh":
            await keeper.update_memory("u", event, one, importance=chance.random(), archived=True)
        else:
            await keeper.forget("u", event, Forgetting(ids=(one,)))
            ids.remove(one)
        if chance.random() < 0.7:
            held = await read(keeper, matrices, limit)
            fresh = await read(keeper, Matrices(1 << 20), limit)
            assert by_memory(held) == by_memory(fresh)
            assert (held.matrix is None) == (len(ids) > limit)
            check_order(held)


async def test_an_add_reads_the_new_row_alone(
    keeper: Keeper, vectors_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrices = Matrices(1 << 20)
    sizes: list[int] = []
    whole = memory_columns._read

    def counted(before: Any, block: Any) -> Any:
        sizes.append(len(block))
        return whole(before, block)

    monkeypatch.setattr(memory_columns, "_read", counted)
    await keeper.remember("u", "e1", [NewMemory(text=f"t{n}") for n in range(9)], vectors_of(9), session="a")
    before = await read(keeper, matrices)
    await keeper.remember("u", "e2", [NewMemory(text="new")], vectors_of(1), session="b")
    await keeper.remember("u", "e3", [NewMemory(text="between")], vectors_of(1, 3), session="a")
    after = await read(keeper, matrices)
    assert sizes == [9, 2]
    assert after.rows["number"].tolist() == [*range(1, 10), 11, 10]
    assert len(before.rows["number"]) == 9
    assert await read(keeper, matrices) is after


async def test_after_an_edit_no_number_is_compared(
    keeper: Keeper, vectors_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrices = Matrices(1 << 20)
    (written, _) = await keeper.remember("u", "e1", [NewMemory(text="a"), NewMemory(text="b")], vectors_of(2))
    await read(keeper, matrices)
    monkeypatch.delattr(memory_columns, "_without_removed")
    await keeper.update_memory("u", "e2", written.id, text="three words now")
    assert (await read(keeper, matrices)).rows["words"].tolist() == [3, 1]
    await keeper.forget("u", "e3", Forgetting(ids=(written.id,)))
    with pytest.raises(NameError):
        await read(keeper, matrices)


async def test_vectors_that_are_gone_are_not_kept(keeper: Keeper, vectors_of: Any) -> None:
    matrices = Matrices(1 << 30)
    count = 1500
    written = await keeper.remember("u", "e1", [NewMemory(text="x") for _ in range(count)], vectors_of(count))
    held = await read(keeper, matrices, 10_000)
    doomed = held.matrix.room[7]
    await keeper.forget("u", "e2", Forgetting(ids=tuple(memory.id for memory in written[:1400])))
    after = await read(keeper, matrices, 10_000)
    assert not doomed.any()
    assert after.matrix.used == len(after.matrix.room) == 100
    assert np.array_equal(after.matrix.room, vectors_of(count)[1400:])


async def test_the_budget_is_shared_with_documents(
    keeper: Keeper, add: Any, vectors_of: Any, tmp_path: Path
) -> None:
    await add("a.txt", "one\ntwo")
    await keeper.remember("u", "e1", [NewMemory(text="x")], vectors_of(1))
    matrices = Matrices(10)
    await keeper._open.read(matrices.of, 1)
    await read(keeper, matrices)
    assert list(matrices._held) == [("memories", 1)]
