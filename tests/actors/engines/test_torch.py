import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.engines.torch import TorchEngine
from actors.generator import Generator
from actors.messages import ChatPrompt, EngineFailed, InvalidRequest, NotFound, Sampling, TokenDelta
from actors.models.tokenizer import ModelTokenizer
from configs.schema import EngineSettings, Settings

GREEDY = {"temperature": 0.0}
PROMPTS = [[5, 6, 7], list(range(10, 50)), [9], list(range(3, 300))]


async def make(path: Path, **settings: Any) -> TorchEngine:
    return await TorchEngine.create(
        EngineSettings(**{"dtype": "float32"} | settings), path, ModelTokenizer(path)
    )


@pytest.fixture(scope="module")
async def engine(tiny_model: Path) -> AsyncIterator[TorchEngine]:
    made = await make(tiny_model)
    yield made
    await made.close()


async def play(
    engine: TorchEngine, tokens: Sequence[int], adapter: str | None = None, **sampling: Any
) -> list[TokenDelta]:
    asked = Sampling(**{"max_tokens": 24} | sampling)
    return [delta async for delta in engine.generate("r", tokens, asked, adapter)]


def ids_of(deltas: Sequence[TokenDelta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def reference(path: Path, prompt: list[int], length: int = 24) -> list[int]:
    """What transformers itself generates, greedily, past end tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(path), dtype=torch.float32)
    ids = torch.tensor([prompt])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=length,
        min_new_tokens=length,
        eos_token_id=None,
    )
    return list(output[0, len(prompt) :].tolist())


async def test_greedy_is_what_transformers_generates(engine: TorchEngine, tiny_model: Path) -> None:
    answers = await asyncio.gather(*(play(engine, prompt, ignore_eos=True, **GREEDY) for prompt in PROMPTS))
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        assert ids_of(answer) == reference(tiny_model, prompt)
        assert answer[-1].finish_reason == "length"


async def test_prompts_read_in_several_steps(tiny_model: Path) -> None:
    engine = await make(tiny_model, step_tokens=37)
    answers = await asyncio.gather(*(play(engine, prompt, ignore_eos=True, **GREEDY) for prompt in PROMPTS))
    assert [ids_of(answer) for answer in answers] == [reference(tiny_model, prompt) for prompt in PROMPTS]
    await engine.close()


@pytest.mark.parametrize("reused", [True, False])
async def test_a_prompt_that_begins_alike_is_not_read_again(tiny_model: Path, reused: bool) -> None:
    engine = await make(tiny_model, prefix_cache=reused)
    prompt = list(range(3, 100))
    first = await play(engine, prompt, ignore_eos=True, **GREEDY)
    again = await play(engine, prompt, ignore_eos=True, **GREEDY)
    assert ids_of(first) == ids_of(again)
    assert (first[0].cached_tokens, again[0].cached_tokens) == (0, 96 if reused else 0)
    await engine.close()


async def test_an_endless_chat_in_a_window(tiny_model: Path) -> None:
    engine = await make(tiny_model, kv_policy="sinks", window=64, sink_tokens=4, kv_cache_gib=1e-3)
    assert engine.capabilities().max_context > 100_000
    answer = await play(engine, list(range(3, 200)), ignore_eos=True, max_tokens=300, **GREEDY)
    assert len(ids_of(answer)) == 300
    await engine.close()


async def test_requests_join_and_leave(tiny_model: Path) -> None:
    engine = await make(tiny_model, max_sequences=2)
    lengths = [3, 40, 7, 1, 25]
    alone = [ids_of(await play(engine, [5, n], ignore_eos=True, max_tokens=n, **GREEDY)) for n in lengths]
    together = await asyncio.gather(
        *(play(engine, [5, n], ignore_eos=True, max_tokens=n, **GREEDY) for n in lengths)
    )
    assert [ids_of(answer) for answer in together] == alone
    await engine.close()


async def test_leaving_early_frees_the_slot(tiny_model: Path) -> None:
    engine = await make(tiny_model, max_sequences=1)
    hog = engine.generate("hog", [5], Sampling(max_tokens=900, ignore_eos=True))
    await anext(hog)
    waiting = asyncio.create_task(play(engine, [6], max_tokens=2))
    await hog.aclose()
    assert len(ids_of(await waiting)) <= 2
    await engine.close()


async def test_a_cache_too_small_makes_requests_wait(tiny_model: Path) -> None:
    engine = await make(tiny_model, kv_cache_gib=1e-9)
    answers = await asyncio.gather(*(play(engine, [5, n], max_tokens=9, **GREEDY) for n in range(4)))
    assert all(answer[-1].finish_reason for answer in answers)
    await engine.close()


async def test_end_tokens_end_and_are_not_shown(engine: TorchEngine) -> None:
    deltas = await play(engine, [5], logit_bias={2: 1000.0})
    assert (ids_of(deltas), deltas[-1].finish_reason) == ([], "stop")
    deltas = await play(engine, [5], logit_bias={2: 1000.0}, ignore_eos=True, max_tokens=3)
    assert (ids_of(deltas), deltas[-1].finish_reason) == ([2, 2, 2], "length")


async def test_seeds_repeat_whatever_else_runs(engine: TorchEngine) -> None:
    alone = ids_of(await play(engine, [5, 6], seed=7, top_p=0.9))
    mixed = await asyncio.gather(
        play(engine, [5, 6], seed=7, top_p=0.9), play(engine, [5, 6], seed=8, top_p=0.9), play(engine, [9])
    )
    assert ids_of(mixed[0]) == alone != ids_of(mixed[1])


async def test_bias_and_penalties(engine: TorchEngine) -> None:
    assert ids_of(await play(engine, [5], logit_bias={17: 1000.0}, max_tokens=3)) == [17] * 3
    answer = ids_of(
        await play(
            engine, [5], logit_bias={17: 500.0, 18: 400.0}, presence_penalty=200.0, max_tokens=2, **GREEDY
        )
    )
    assert sorted(answer) == [17, 18]


async def test_log_probabilities_agree_with_scores(engine: TorchEngine) -> None:
    prompt = [5, 6, 7]
    deltas = await play(engine, prompt, logprobs=3, ignore_eos=True, **GREEDY)
    entries = [entry for delta in deltas for entry in delta.logprobs]
    scores = await engine.score(prompt + ids_of(deltas))
    assert len(scores) == len(prompt) + len(entries) - 1
    for entry, score in zip(entries, scores[len(prompt) - 1 :], strict=True):
        assert entry.token_id == score.token_id == entry.top[0][0]
        assert entry.logprob == pytest.approx(score.logprob, abs=1e-4)
        assert entry.logprob >= entry.top[1][1] >= entry.top[2][1]


async def test_json_satisfies_its_schema(engine: TorchEngine) -> None:
    import jsonschema

    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["cat", "dog"]}, "ok": {"type": "boolean"}},
        "required": ["kind", "ok"],
        "additionalProperties": False,
    }
    answers = await asyncio.gather(
        *(play(engine, [5, n], json_schema=json.dumps(schema), max_tokens=80) for n in range(4)),
        play(engine, [4]),
    )
    tokenizer = engine._tokenizer
    for answer in answers[:4]:
        text = b"".join(map(tokenizer.token_bytes, ids_of(answer))).decode()
        jsonschema.validate(json.loads(text), schema)
        assert answer[-1].finish_reason == "stop"


async def test_any_object_begins_like_one(engine: TorchEngine) -> None:
    deltas = await play(engine, [5], json_schema="{}", max_tokens=1)
    assert engine._tokenizer.token_bytes(ids_of(deltas)[0]) in (b"{", b"{}")


@pytest.mark.parametrize("schema", ['{"type": "nonsense"}', "false", '{"$ref": "https://example.com/x"}'])
async def test_a_bad_schema_is_the_clients_error(engine: TorchEngine, schema: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await play(engine, [5], json_schema=schema)
    assert caught.value.param == "response_format"


def save_adapter(model: Path, path: Path, seed: int) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(str(model)), config).save_pretrained(str(path))
    return path


async def test_adapters_share_a_batch_and_come_and_go(tiny_model: Path, tmp_path: Path) -> None:
    engine = await make(tiny_model)
    plain = ids_of(await play(engine, [5, 6], **GREEDY))
    for seed, name in enumerate(("one", "two")):
        await engine.load_adapter(name, save_adapter(tiny_model, tmp_path / name, seed))
    alone = [ids_of(await play(engine, [5, 6], name, **GREEDY)) for name in ("one", "two")]
    mixed = await asyncio.gather(*(play(engine, [5, 6], name, **GREEDY) for name in ("one", "two", None)))
    assert [ids_of(answer) for answer in mixed] == [*alone, plain]
    assert alone[0] != plain != alone[1] != alone[0]
    running = asyncio.create_task(play(engine, [5, 6], "one", **GREEDY))
    await asyncio.sleep(0)
    await asyncio.gather(engine.unload_adapter("one"), running)
    assert ids_of(running.result()) == alone[0]
    with pytest.raises(NotFound):
        await play(engine, [5], "one")
    await engine.unload_adapter("two")
    assert ids_of(await play(engine, [5, 6], **GREEDY)) == plain
    await engine.close()


async def test_what_is_cached_of_one_version_never_answers_for_another(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Nor for other weights under the same name: what was cached under a name goes when its adapter does."""
    long = [3 + n % 300 for n in range(200)]
    paths = {name: save_adapter(tiny_model, tmp_path / name, seed) for seed, name in enumerate("ab")}
    engine = await make(tiny_model)
    answers = {}
    for name, path in paths.items():
        await engine.load_adapter(name, path)
        first, again = [await play(engine, long, name, **GREEDY) for _ in range(2)]
        assert (first[-1].cached_tokens, again[-1].cached_tokens > 100) == (0, True)
        answers[name] = ids_of(first)
        assert ids_of(again) == answers[name]
    assert answers["a"] != answers["b"]
    await engine.load_adapter("a", paths["b"])
    renamed = await play(engine, long, "a", **GREEDY)
    assert (renamed[-1].cached_tokens, ids_of(renamed)) == (0, answers["b"])
    await engine.close()


@pytest.mark.parametrize("bad", [{"tokens": [320]}, {"tokens": [5], "logit_bias": {320: 1.0}}])
async def test_ids_the_model_does_not_know_are_refused(engine: TorchEngine, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await play(engine, **bad)


async def test_only_safetensors_are_loaded(engine: TorchEngine, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await engine.load_adapter("x", tmp_path)
    for name in ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(InvalidRequest, match="safetensors"):
        await engine.load_adapter("x", tmp_path)


async def test_an_adapter_that_does_not_fit_harms_nothing(
    engine: TorchEngine, tiny_model: Path, tmp_path: Path
) -> None:
    before = ids_of(await play(engine, [5, 6], **GREEDY))
    path = save_adapter(tiny_model, tmp_path / "bad", 0)
    config = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(config | {"r": 7}))
    with pytest.raises(InvalidRequest):
        await engine.load_adapter("bad", path)
    assert ids_of(await play(engine, [5, 6], **GREEDY)) == before


async def test_closing_fails_what_runs(tiny_model: Path) -> None:
    engine = await make(tiny_model)
    stream = engine.generate("r", [5], Sampling(max_tokens=1000, ignore_eos=True))
    await anext(stream)
    await engine.close()
    with pytest.raises(EngineFailed):
        async for _ in stream:
            pass
    assert not (await engine.health()).ok
    with pytest.raises(EngineFailed):
        await engine.score([1, 2])


async def test_a_failing_step_fails_the_engine(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = await make(tiny_model)

    def broken(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine._chain.shards[0], "_pass", broken)
    with pytest.raises(EngineFailed, match="out of memory"):
        await play(engine, [5])
    assert "out of memory" in (await engine.health()).detail
    await engine.close()


@pytest.mark.model
async def test_the_real_model_knows_paris_and_is_what_transformers_generates(model_dir: Path) -> None:
    generator = Generator(
        Settings(engine=EngineSettings(kind="torch", model=str(model_dir), dtype="float32"))
    )
    await generator.start()
    questions = [
        "What is the capital of France?",
        "Hi",
        "Name three colours, and say why you like them. " * 9,
    ]
    prompts = [ChatPrompt(messages=({"role": "user", "content": question},)) for question in questions]

    async def ask(prompt: ChatPrompt) -> tuple[str, list[int]]:
        sampling = Sampling(temperature=0, max_tokens=12, ignore_eos=True)
        deltas = [delta async for delta in generator.generate("r", prompt, sampling)]
        return "".join(one.text for one in deltas), [token for one in deltas for token in one.token_ids]

    answers = await asyncio.gather(*map(ask, prompts))
    assert "Paris" in answers[0][0]
    for prompt, (_, ids) in zip(prompts, answers, strict=True):
        assert ids == reference(model_dir, await generator._tokens(prompt), 12)
    await generator.close()
