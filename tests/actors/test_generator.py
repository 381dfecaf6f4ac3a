import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest

from actors.engines.scripted import ScriptedTokenizer
from actors.generator import Generator
from actors.messages import (
    Capabilities,
    ChatPrompt,
    ContextLengthExceeded,
    EngineFailed,
    InvalidRequest,
    NotFound,
    NotReady,
    Prompt,
    Sampling,
    TextDelta,
    TokenDelta,
)
from configs.schema import EngineSettings, ServeSettings, Settings


@pytest.fixture
async def generator() -> AsyncIterator[Generator]:
    settings = Settings(
        engine=EngineSettings(kind="scripted", max_context=400), serve=ServeSettings(default_max_tokens=50)
    )
    made = Generator(settings)
    await made.start()
    yield made
    await made.close()


def user(text: str, **more: Any) -> ChatPrompt:
    return ChatPrompt(messages=({"role": "user", "content": text},), **more)


async def play(generator: Generator, prompt: Prompt, **sampling: Any) -> list[TextDelta]:
    return [delta async for delta in generator.generate("r", prompt, Sampling(**sampling))]


def text_of(deltas: Sequence[TextDelta]) -> str:
    return "".join(delta.text for delta in deltas)


async def test_text_and_totals(generator: Generator) -> None:
    prompt = user("hello 🎉")
    deltas = await play(generator, prompt)
    assert text_of(deltas) == "You said: hello 🎉"
    assert deltas[-1].finish_reason == "stop"
    assert all(delta.finish_reason is None for delta in deltas[:-1])
    assert deltas[-1].prompt_tokens == await generator.count(prompt)
    assert deltas[-1].completion_tokens == len([token for delta in deltas for token in delta.token_ids])


async def test_no_token_id_is_lost_within_a_character(generator: Generator) -> None:
    deltas = await play(generator, user("🎉🎉🎉🎉🎉"))
    ids = [token for delta in deltas for token in delta.token_ids]
    assert ids == ScriptedTokenizer().encode("You said: 🎉🎉🎉🎉🎉")
    assert all(delta.text for delta in deltas[:-1])


async def test_stop_strings_are_cut_and_finish_with_stop(generator: Generator) -> None:
    deltas = await play(generator, user("one two three"), stop=("o thr",))
    assert text_of(deltas) == "You said: one tw"
    assert deltas[-1].finish_reason == "stop"


async def test_max_tokens_is_kept(generator: Generator) -> None:
    deltas = await play(generator, user("one two three"), max_tokens=2)
    assert (deltas[-1].finish_reason, deltas[-1].completion_tokens) == ("length", 2)


async def test_the_default_length_is_fitted_to_the_context(generator: Generator) -> None:
    deltas = await play(generator, user("[[tokens:1000]]"))
    assert deltas[-1].completion_tokens == 50
    long = "x " * 380
    deltas = await play(generator, long, ignore_eos=True)
    assert deltas[-1].completion_tokens == 400 - await generator.count(long) < 50


@pytest.mark.parametrize(
    ("words", "wanted", "numbers"), [(500, None, "400 tokens"), (50, 380, "380 for the answer")]
)
async def test_what_does_not_fit_is_refused_with_the_numbers(
    generator: Generator, words: int, wanted: int | None, numbers: str
) -> None:
    with pytest.raises(ContextLengthExceeded, match=numbers) as caught:
        await play(generator, user("word " * words), max_tokens=wanted)
    assert caught.value.code == "context_length_exceeded"


async def test_a_huge_prompt_is_refused_without_reading_it(generator: Generator) -> None:
    with pytest.raises(ContextLengthExceeded, match="at least"):
        await play(generator, user("x" * 50_000_000))


@pytest.mark.parametrize("prompt", ["", (), (1 << 60,), (-1,), "half \ud800"])
async def test_prompts_that_are_none(generator: Generator, prompt: Prompt) -> None:
    with pytest.raises(InvalidRequest):
        await play(generator, prompt)


async def test_a_bias_outside_the_vocabulary_is_refused(generator: Generator) -> None:
    with pytest.raises(InvalidRequest, match="logit_bias"):
        await play(generator, "x", logit_bias={-5: 1.0})


async def test_token_ids_are_a_prompt(generator: Generator) -> None:
    ids = tuple(ScriptedTokenizer().encode("some words"))
    assert text_of(await play(generator, ids)) == "You said: some words"


async def test_log_probabilities_spell_the_text(generator: Generator) -> None:
    deltas = await play(generator, user("wörld"), logprobs=3)
    entries = [entry for delta in deltas for entry in delta.logprobs]
    assert b"".join(entry.bytes for entry in entries).decode() == "You said: wörld"
    for entry in entries:
        values = [one.logprob for one in entry.top]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)


async def test_scores(generator: Generator) -> None:
    scores = await generator.score("one two three")
    assert len(scores) == await generator.count("one two three") - 1
    assert await generator.score("one") == ()


async def test_adapters(generator: Generator, tmp_path: Any) -> None:
    await generator.load_adapter("v1", tmp_path)
    deltas = [delta async for delta in generator.generate("r", user("hi"), Sampling(), "v1")]
    assert text_of(deltas) == "[v1] You said: hi"
    await generator.unload_adapter("v1")
    with pytest.raises(NotFound):
        await anext(generator.generate("r", user("hi"), Sampling(), "v1"))


async def test_a_failing_engine_fails_midway(generator: Generator) -> None:
    stream = generator.generate("r", user("[[fail:after=2]] a b c"), Sampling())
    assert [(await anext(stream)).text for _ in range(2)] == ["You", " said"]
    with pytest.raises(EngineFailed):
        await anext(stream)


async def test_capabilities_say_why(generator: Generator) -> None:
    capabilities = await generator.capabilities()
    assert (capabilities.engine, capabilities.max_context) == ("scripted", 400)
    assert "scripted" in capabilities.why


async def test_before_start_nothing_works() -> None:
    generator = Generator(Settings(engine=EngineSettings(kind="scripted")))
    assert not (await generator.health()).ok
    with pytest.raises(NotReady):
        await generator.count("x")


async def test_leaving_early_stops_the_engine(generator: Generator) -> None:
    stream = generator.generate("r", user("[[delay:0.001]][[tokens:300]] go"), Sampling(max_tokens=300))
    await anext(stream)
    assert (await generator.health()).running == 1
    await stream.aclose()
    assert (await generator.health()).running == 0


async def test_a_cancelled_reader_stops_the_engine(generator: Generator) -> None:
    started = asyncio.Event()

    async def read() -> None:
        async for _ in generator.generate(
            "r", user("[[delay:0.01]][[tokens:300]]"), Sampling(max_tokens=300)
        ):
            started.set()

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await generator.health()).running == 0


async def test_a_stop_string_stops_the_engine(generator: Generator) -> None:
    deltas = await play(generator, user("[[text:a b c]][[tokens:300]]"), stop=("c",), max_tokens=300)
    assert deltas[-1].completion_tokens < 10
    assert (await generator.health()).running == 0


class Forced:
    """An engine that keeps what it was asked and answers with a fixed object."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sampling]] = []
        self.tokenizer = ScriptedTokenizer()

    async def generate(
        self, request_id: str, tokens: Sequence[int], sampling: Sampling, adapter: str | None = None
    ) -> AsyncGenerator[TokenDelta, None]:
        text = b"".join(map(self.tokenizer.token_bytes, tokens)).decode()
        self.asked.append((text, sampling))
        answer = tuple(self.tokenizer.encode('{"name": "f", "arguments": {}}'))
        yield TokenDelta(token_ids=answer, finish_reason="stop")

    def capabilities(self) -> Capabilities:
        return Capabilities(engine="forced", model="m", max_context=4096, json_schema=True)

    async def close(self) -> None:
        pass


class WilfulTokenizer(ScriptedTokenizer):
    obeys_tool_choice = False


TOOLS = tuple(
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "$defs": {"d": {}}}}}
    for name in ("f", "g")
)


@pytest.mark.parametrize(("choice", "names"), [("required", ["f", "g"]), ("g", ["g"])])
async def test_a_required_call_is_forced_by_schema(
    generator: Generator, choice: str, names: list[str]
) -> None:
    engine = Forced()
    generator._parts = (WilfulTokenizer(), engine)  # type: ignore[assignment]
    deltas = await play(generator, user("hi", tools=TOOLS, tool_choice=choice))
    assert text_of(deltas) == '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    text, sampling = engine.asked[0]
    assert text.endswith("<tool_call>\n")
    schema = json.loads(sampling.json_schema or "")
    assert [one["properties"]["name"]["const"] for one in schema["anyOf"]] == names


async def test_an_unknown_tool_is_refused(generator: Generator) -> None:
    generator._parts = (WilfulTokenizer(), Forced())  # type: ignore[assignment]
    with pytest.raises(InvalidRequest, match="'h'"):
        await play(generator, user("hi", tools=TOOLS, tool_choice="h"))
