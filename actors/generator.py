"""Holds one engine, its tokenizer and its adapters: text in, text out. Knows no user and no HTTP."""

import asyncio
import dataclasses
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from actors.engines.choose import Choice, build, choose, model_directory
from actors.engines.loaded import Loaded
from actors.engines.protocol import Engine
from actors.messages import (
    Capabilities,
    ChatPrompt,
    ContextLengthExceeded,
    Health,
    InvalidRequest,
    NotReady,
    Prompt,
    Sampling,
    TextDelta,
    TokenLogprob,
)
from actors.models.detokenize import Detokenizer
from actors.models.template import render_chat
from actors.models.tokenizer import Tokenizer, check_text
from actors.models.toolcall import CLOSE, OPEN, forced_schema
from configs.schema import Settings

LONG_CHARACTERS = 20_000
"""Prompts longer than this are tokenised in a thread, so that other streams go on."""
MOST_ADAPTERS = 16
"""Adapters that an engine of our own holds at once; of vLLM's the settings say."""

log = logging.getLogger(__name__)


class Generator:
    """Templates a prompt once, runs the engine, turns tokens back into text and cuts stop strings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._choice: Choice | None = None
        self._parts: tuple[Tokenizer, Engine] | None = None
        self._adapters: Loaded | None = None

    async def start(self) -> None:
        """Load the engine and tokenizer. Raises NotReady if the model is not on disk."""
        if self._parts is not None:
            return
        scripted = self._settings.engine.kind == "scripted"
        model = None if scripted else await asyncio.to_thread(model_directory, self._settings)
        self._choice = choose(self._settings, model)
        log.info("engine: %s (%s)", self._choice.kind, self._choice.why)
        self._parts = await build(self._choice, self._settings, model)
        engine = self._settings.engine
        most = engine.max_adapters if self._choice.kind == "vllm" else MOST_ADAPTERS
        self._adapters = Loaded(self._parts[1], most)

    async def generate(
        self,
        request_id: str,
        prompt: Prompt,
        sampling: Sampling,
        adapter: str | None = None,
        path: Path | None = None,
    ) -> AsyncGenerator[TextDelta, None]:
        """Yield text as it comes; the last delta has a finish reason. Closing the iterator stops the work.

        The adapter is loaded from `path`, where that is given, and kept until the end. Raises, before the
        first delta, ContextLengthExceeded, InvalidRequest (a schema or template the engine cannot take) or
        NotFound (adapter); EngineFailed later.
        """
        tokenizer, engine = self._started()
        tokens = await self._tokens(prompt)
        forced = self._forced(prompt)
        if forced is not None:
            tokens += tokenizer.encode(OPEN)
            sampling = dataclasses.replace(sampling, json_schema=forced)
        sampling = self._fitted(sampling, len(tokens))
        detokenizer = Detokenizer(tokenizer, sampling.stop)
        opening = OPEN if forced else ""
        completion = cached = 0
        silent: tuple[int, ...] = ()
        source = engine.generate(request_id, tokens, sampling, adapter)
        async with self._loaded().held(adapter, path), aclosing(source) as deltas:
            async for delta in deltas:
                completion += len(delta.token_ids)
                cached = max(cached, delta.cached_tokens)
                piece = detokenizer.push(delta)
                finish = "stop" if detokenizer.stopped else delta.finish_reason
                text = opening + piece.text
                silent += piece.token_ids
                if forced and finish == "stop" and not detokenizer.stopped:
                    text += CLOSE
                if text or piece.logprobs or finish:
                    opening = ""
                    yield TextDelta(
                        text=text,
                        token_ids=silent,
                        logprobs=piece.logprobs,
                        finish_reason=finish,
                        prompt_tokens=len(tokens),
                        completion_tokens=completion,
                        cached_tokens=cached,
                    )
                    silent = ()
                if finish:
                    return

    async def count(self, prompt: Prompt) -> int:
        """Tokens that the prompt takes, template included."""
        return len(await self._encoded(prompt))

    async def score(
        self,
        prompt: Prompt,
        adapter: str | None = None,
        path: Path | None = None,
        answer: Sequence[int] = (),
    ) -> tuple[TokenLogprob, ...]:
        """Log probability of each of the prompt's tokens after the first, or of the answer's that follows it.

        The adapter is as in `generate`. Raises ContextLengthExceeded, InvalidRequest, NotFound (adapter).
        """
        _, engine = self._started()
        tokens = [*await self._tokens(prompt), *answer]
        context = engine.capabilities().max_context
        if answer and len(tokens) > context:
            raise _too_long(context, str(len(tokens)))
        if len(tokens) < 2:
            return ()
        async with self._loaded().held(adapter, path):
            scores = await engine.score(tokens, adapter)
        return scores[-len(answer) :]

    async def load_adapter(self, name: str, path: Path) -> None:
        """Make the LoRA adapter in the directory `path` available as `name`.

        One that is not used is given up where the engine holds as many as it may.
        """
        await self._loaded().load(name, path)

    async def unload_adapter(self, name: str) -> None:
        """Forget an adapter. Raises NotFound."""
        await self._loaded().unload(name)

    async def capabilities(self) -> Capabilities:
        """What the engine can do, and which model it holds."""
        _, engine = self._started()
        why = self._choice.why if self._choice else ""
        return dataclasses.replace(engine.capabilities(), why=why)

    async def health(self) -> Health:
        """Whether it can generate now."""
        if self._parts is None:
            return Health(ok=False, detail="the engine is not started")
        return await self._parts[1].health()

    async def close(self) -> None:
        """Free the engine."""
        if self._parts is not None:
            await self._parts[1].close()
            self._parts = None

    def _started(self) -> tuple[Tokenizer, Engine]:
        if self._parts is None:
            raise NotReady("the engine is not started")
        return self._parts

    def _loaded(self) -> Loaded:
        if self._adapters is None:
            raise NotReady("the engine is not started")
        return self._adapters

    async def _tokens(self, prompt: Prompt) -> list[int]:
        """The prompt's token ids, checked against the vocabulary and the context."""
        tokenizer, engine = self._started()
        context = engine.capabilities().max_context
        at_least = _characters(prompt) // tokenizer.longest
        if at_least > context:
            raise _too_long(context, f"at least {at_least}")
        tokens = await self._encoded(prompt)
        if not tokens:
            raise InvalidRequest("the prompt is empty", param="prompt")
        if min(tokens) < 0 or max(tokens) >= tokenizer.vocabulary:
            raise InvalidRequest(
                f"the prompt has a token id outside 0..{tokenizer.vocabulary - 1}", param="prompt"
            )
        return tokens

    async def _encoded(self, prompt: Prompt) -> list[int]:
        tokenizer, _ = self._started()
        if isinstance(prompt, tuple):
            return list(prompt)
        if _characters(prompt) > LONG_CHARACTERS:
            return await asyncio.to_thread(_encode, tokenizer, prompt)
        return _encode(tokenizer, prompt)

    def _forced(self, prompt: Prompt) -> str | None:
        """The schema of the tool call that the answer must be, for models that must be made to obey."""
        tokenizer, engine = self._started()
        if not isinstance(prompt, ChatPrompt) or tokenizer.obeys_tool_choice:
            return None
        schema = forced_schema(prompt)
        return json.dumps(schema) if schema and engine.capabilities().json_schema else None

    def _fitted(self, sampling: Sampling, prompt_tokens: int) -> Sampling:
        """The sampling with a number of tokens that fits. Raises ContextLengthExceeded, InvalidRequest."""
        tokenizer, engine = self._started()
        context = engine.capabilities().max_context
        room = context - prompt_tokens
        wanted = sampling.max_tokens
        if room < 1 or (wanted or 0) > room:
            raise _too_long(context, str(prompt_tokens), wanted)
        if any(not 0 <= token < tokenizer.vocabulary for token in sampling.logit_bias):
            raise InvalidRequest(
                f"logit_bias has a token id outside 0..{tokenizer.vocabulary - 1}", param="logit_bias"
            )
        default = min(self._settings.serve.default_max_tokens, room)
        return dataclasses.replace(sampling, max_tokens=default if wanted is None else wanted)


def _encode(tokenizer: Tokenizer, prompt: ChatPrompt | str) -> list[int]:
    if isinstance(prompt, ChatPrompt):
        return render_chat(tokenizer, prompt)
    check_text(prompt, "prompt")
    return tokenizer.encode(prompt, start=True)


def _characters(prompt: Prompt) -> int:
    """The prompt's length in characters, for a conversation without its template; 0 for token ids."""
    if isinstance(prompt, str):
        return len(prompt)
    if isinstance(prompt, ChatPrompt):
        return sum(_text_characters(message.get("content")) for message in prompt.messages)
    return 0


def _text_characters(content: object) -> int:
    if isinstance(content, str):
        return len(content)
    return len(json.dumps(content)) // 8 if content else 0


def _too_long(context: int, prompt_tokens: str, wanted: int | None = None) -> ContextLengthExceeded:
    asked = f"{prompt_tokens} in the prompt" + (f" and {wanted} for the answer" if wanted else "")
    return ContextLengthExceeded(
        f"This model's maximum context length is {context} tokens. However, you requested {asked}. "
        "Shorten the prompt or lower max_tokens.",
        param="messages" if wanted is None else "max_tokens",
    )
