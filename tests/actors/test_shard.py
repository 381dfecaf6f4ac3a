"""Shards that pass steps on: order, failure, what comes out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actors.messages import (
    EngineFailed,
    Gone,
    InvalidRequest,
    NotFound,
    NotReady,
    Pick,
    Piece,
    Shift,
    Span,
    Step,
)
from actors.shard import Shard
from configs.schema import EngineSettings

SETTINGS = EngineSettings(kind="torch", device="cpu", dtype="float32")
TOKENS = tuple(torch.randint(0, 320, (30,), generator=torch.Generator().manual_seed(3)).tolist())


async def make(path: Path, *ends: int, settings: EngineSettings = SETTINGS) -> list[Shard]:
    shards = [
        Shard(settings, path, Span(first, end, 3), 256)
        for first, end in zip((0, *ends[:-1]), ends, strict=True)
    ]
    for shard in shards:
        await shard.start()
        await shard.begin(0)
    return shards


@pytest.fixture
async def shards(tiny_model: Path) -> AsyncIterator[list[Shard]]:
    made = await make(tiny_model, 1, 3)
    yield made
    for shard in made:
        await shard.close()


def step(number: int, *pieces: Piece, epoch: int = 0, shifts: tuple[Shift, ...] = ()) -> Step:
    return Step(epoch=epoch, number=number, pieces=pieces, shifts=shifts)


def one(number: int, epoch: int = 0) -> Step:
    """Token `number` of TOKENS, after those before it."""
    piece = Piece(tokens=(TOKENS[number],), start=number, runs=((0, number + 1),), want="logits")
    return step(number, piece, epoch=epoch)


async def forward(shards: list[Shard], message: Step) -> tuple[Pick, ...]:
    carried: Any = None
    for shard in shards:
        carried = await shard.forward(message, carried)
    return tuple(carried)


@pytest.fixture(scope="module")
def expected(tiny_model: Path) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32).eval()
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([TOKENS])).logits[0]
    return logits


async def test_each_piece_gets_what_it_wants(shards: list[Shard], expected: torch.Tensor) -> None:
    nothing, token, logits, scores, part = await forward(
        shards,
        step(
            0,
            Piece(tokens=TOKENS, start=0, runs=((0, 30),)),
            Piece(tokens=TOKENS, start=0, runs=((30, 30),), want="token"),
            Piece(tokens=TOKENS, start=0, runs=((60, 30),), want="logits"),
            Piece(tokens=TOKENS, start=0, runs=((90, 30),), want="scores", targets=TOKENS[1:]),
            Piece(tokens=TOKENS[:5], start=0, runs=((120, 5),), want="scores", targets=TOKENS[1:6]),
        ),
    )
    assert nothing == Pick()
    assert token == Pick(token=int(expected[-1].argmax()))
    assert logits.token is None
    assert logits.logits.dtype == np.float32
    assert np.allclose(logits.logits, expected[-1].numpy(), atol=1e-4)
    wanted = expected.log_softmax(-1)[range(29), TOKENS[1:]]
    assert np.allclose(scores.scores, wanted.numpy(), atol=1e-4)
    assert np.allclose(part.scores, wanted[:5].numpy(), atol=1e-4)


async def test_steps_that_come_early_wait(shards: list[Shard], expected: torch.Tensor) -> None:
    numbers = (3, 1, 4, 0, 2)
    picks = await asyncio.gather(*(forward(shards, one(number)) for number in numbers))
    for number, (pick,) in zip(numbers, picks, strict=True):
        assert np.allclose(pick.logits, expected[number].numpy(), atol=1e-4)


async def test_sixteen_bits_travel_as_integers(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"dtype": "bfloat16"})
    shards = await make(tiny_model, 1, 3, settings=settings)
    hidden = await shards[0].forward(one(0), None)
    assert isinstance(hidden, np.ndarray)
    assert (hidden.dtype, hidden.shape) == (np.int16, (1, 48))
    hidden.flags.writeable = False
    (pick,) = await shards[1].forward(one(0), hidden)
    assert pick.logits.dtype == np.float32
    for shard in shards:
        await shard.close()


async def test_a_new_epoch_begins_at_nothing(shards: list[Shard], expected: torch.Tensor) -> None:
    await forward(shards, one(0))
    waiting = asyncio.create_task(forward(shards, one(2)))
    await asyncio.sleep(0)
    for shard in shards:
        await shard.begin(1)
    with pytest.raises(EngineFailed, match="epoch 1 has begun"):
        await waiting
    with pytest.raises(Gone, match="epoch 0"):
        await forward(shards, one(1))
    (pick,) = await forward(shards, one(0, epoch=1))
    assert np.allclose(pick.logits, expected[0].numpy(), atol=1e-4)


async def test_no_step_is_computed_before_an_epoch(tiny_model: Path) -> None:
    shard = Shard(SETTINGS, tiny_model, Span(0, 3, 3), 64)
    with pytest.raises(NotReady):
        await shard.facts()
    assert not (await shard.health()).ok
    await shard.start()
    with pytest.raises(Gone):
        await shard.forward(one(0), None)
    await shard.close()
    with pytest.raises(EngineFailed, match="closed"):
        await shard.facts()


async def test_nothing_hangs_after_a_step_that_failed(shards: list[Shard]) -> None:
    await forward(shards, one(0))
    outside = step(1, Piece(tokens=(1,), start=0, runs=((256, 1),)))
    later = [asyncio.create_task(forward(shards, one(number))) for number in (2, 4)]
    await asyncio.sleep(0)
    with pytest.raises(EngineFailed, match="step 1 failed"):
        await forward(shards, outside)
    for task in later:
        with pytest.raises(EngineFailed, match="step 1 failed"):
            await task
    with pytest.raises(EngineFailed, match="step 1 failed"):
        await forward(shards, one(3))
    assert not (await shards[0].health()).ok
    await shards[0].begin(1)
    assert (await shards[0].health()).ok


async def test_a_step_that_was_given_up_fails_those_after_it(shards: list[Shard]) -> None:
    first, second = shards[0], asyncio.create_task(shards[0].forward(one(1), None))
    third = asyncio.create_task(first.forward(one(2), None))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(EngineFailed, match="given up"):
        await third


async def test_a_step_under_way_is_computed_whoever_waits(
    shards: list[Shard], expected: torch.Tensor
) -> None:
    given_up = asyncio.create_task(shards[0].forward(one(0), None))
    await asyncio.sleep(0)
    given_up.cancel()
    hidden = await shards[0].forward(one(1), None)
    assert isinstance(hidden, np.ndarray)


async def test_a_step_sent_twice_is_refused(shards: list[Shard]) -> None:
    await forward(shards, one(0))
    with pytest.raises(EngineFailed, match="twice"):
        await forward(shards, one(0))


async def test_a_token_outside_the_vocabulary(shards: list[Shard]) -> None:
    with pytest.raises(EngineFailed, match="failed"):
        await forward(shards, step(0, Piece(tokens=(320,), start=0, runs=((0, 1),))))


async def test_facts(shards: list[Shard], tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    weights = sum(parameter.nbytes for parameter in whole.parameters())
    facts = [await shard.facts() for shard in shards]
    assert [fact.span for fact in facts] == [Span(0, 1, 3), Span(1, 3, 3)]
    assert sum(fact.weight_bytes for fact in facts) == weights
    assert [fact.cache_bytes for fact in facts] == [2 * 2 * 256 * 8 * 4 * layers for layers in (1, 2)]
    assert facts[0].adapters == ()


async def test_shifts_come_before_the_pieces(shards: list[Shard], tiny_model: Path) -> None:
    """Dropping the first tokens of a sequence: one layer's keys are then those of a shorter sequence."""
    single = (await make(tiny_model, 1))[0]
    await single.forward(step(0, Piece(tokens=TOKENS[:10], start=0, runs=((0, 10),))), None)
    shifted = await single.forward(
        step(
            1,
            Piece(tokens=(TOKENS[10],), start=6, runs=((4, 6), (50, 1))),
            shifts=(Shift(((4, 6),), 4),),
        ),
        None,
    )
    fresh = await single.forward(step(2, Piece(tokens=TOKENS[4:11], start=0, runs=((100, 7),))), None)
    assert isinstance(shifted, np.ndarray)
    assert isinstance(fresh, np.ndarray)
    assert np.allclose(shifted[-1], fresh[-1], atol=1e-4)
    await single.close()


async def test_a_step_of_shifts_alone(shards: list[Shard]) -> None:
    assert await forward(shards, step(0, shifts=(Shift(((0, 4),), 2),))) == ()


async def test_rope_that_depends_on_length_cannot_shift(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        rope_parameters=rope,
    )
    LlamaForCausalLM(config).save_pretrained(str(tmp_path))
    shards = await make(tmp_path, 3)
    with pytest.raises(InvalidRequest, match="dynamic"):
        await forward(shards, step(0, shifts=(Shift(((0, 4),), 2),)))
    await shards[0].close()


async def test_adapters(shards: list[Shard], tiny_model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = get_peft_model(whole, config).eval()
    adapted.save_pretrained(str(tmp_path))
    with torch.inference_mode():
        expected = adapted(torch.tensor([TOKENS])).logits[0, -1].numpy()
    for shard in shards:
        await shard.load_adapter("a", tmp_path)
    piece = Piece(tokens=TOKENS, start=0, runs=((0, 30),), want="logits", adapter="a")
    (beside,) = await forward(shards, step(0, piece))
    for shard in shards:
        await shard.merge_adapter("a")
    (merged,) = await forward(shards, step(1, piece))
    assert np.allclose(beside.logits, expected, atol=2e-4)
    assert np.allclose(merged.logits, expected, atol=2e-4)
    facts = await shards[0].facts()
    assert (facts.adapters, facts.merged) == (("a",), "a")
    for shard in shards:
        await shard.unload_adapter("a")
        with pytest.raises(NotFound):
            await shard.unload_adapter("a")
