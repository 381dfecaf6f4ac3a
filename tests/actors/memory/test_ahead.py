"""What is read ahead of a question: taken once, by who still has the same memories, gone once all forget."""

from dataclasses import replace
from typing import Any

import numpy as np

from actors.identity import Identity
from actors.keeper import Keeper
from actors.memory import aspects, cues
from actors.memory.ahead import MOST, Prepared, Waiting
from actors.memory.held import Held, Turn
from actors.memory.recollection import look_up, recollect
from actors.memory.records import Forgetting, NewMemory
from configs.schema import DocumentSettings


def source() -> Held:
    texts = ("The harbour is closed", "Why?", "A windmill", "The harbour opens at nine")
    turns = [Turn(str(at), 0, at, "", text, 1.7e9 + at) for at, text in enumerate(texts)]
    return Held(turns, np.eye(4, dtype=np.float32))


def test_a_question_read_ahead_finds_the_same() -> None:
    held, vector = source(), np.array([0, 0, 1, 0], np.float32)
    ahead = look_up(held, "harbour windmill")
    for given in (vector, None):
        found = recollect(held, "harbour windmill", given, 4, ahead=ahead)
        assert found == recollect(held, "harbour windmill", given, 4)


def test_it_is_taken_once_and_the_oldest_make_room() -> None:
    held, waiting = source(), Waiting()
    prepared = Prepared.of(held, (), look_up(held, "harbour"))
    for question in range(MOST + 1):
        waiting.put(question, prepared)
    assert waiting.take(0) is None
    assert waiting.take(1) is prepared
    assert waiting.take(1) is None
    waiting.let_go()
    assert waiting.take(2) is None


def test_it_fits_the_same_memories_alone() -> None:
    held = source()
    prepared = Prepared.of(held, (), look_up(held, "harbour"))
    assert prepared.fits(held)
    held.allowed[0] = False
    assert not prepared.fits(held)
    held.allowed[0] = True
    held.columns = replace(held.columns)
    assert not prepared.fits(held)


async def test_forgetting_leaves_no_text_at_hand(tmp_path: Any) -> None:
    keeper = Keeper(tmp_path, DocumentSettings(vector_cache=False), Identity(fixed_clock=1.7e9))
    await keeper.start()
    new = [NewMemory(text="The harbour is closed"), NewMemory(text="I keep a boat")]
    written = await keeper.remember("u", "told", new, np.eye(2, dtype=np.float32))
    await keeper.search_memories("u", "harbour boat", np.array([0, 1], np.float32))
    await keeper.look_up("u", "harbour")
    assert cues.wording.cache_info().currsize
    assert aspects.worded.cache_info().currsize
    await keeper.forget("u", "gone", Forgetting(ids=(written[0].id,)))
    assert not cues.wording.cache_info().currsize
    assert not aspects.worded.cache_info().currsize
    found = await keeper.search_memories("u", "harbour", np.array([1, 0], np.float32))
    assert [one.memory.text for one in found] == ["I keep a boat"]
    await keeper.close()
