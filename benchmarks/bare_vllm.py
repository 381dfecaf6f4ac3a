"""vLLM's AsyncLLM alone, in a process of its own: reads rounds from stdin, prints what they took.

One JSON line in, `{"prompts": [...], "max_tokens": n}`, gives one out, `{"wall_s": s, "first_s": [s, ...]}`.
A prompt is a user's message, or a list of token ids; `"apart": k` sends prompt i once i * k tokens came out.
The engine's settings are those of the server; text is detokenised by vLLM.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from functools import partial
from itertools import count
from typing import Any

from actors.engines.choose import model_directory
from actors.engines.vllm import VllmEngine
from actors.messages import ChatPrompt
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer
from benchmarks.arrivals import play
from configs.load import load

_numbers = count()


async def _main() -> None:
    settings = load().settings
    model = model_directory(settings)
    tokenizer = ModelTokenizer(model)
    engine = await VllmEngine.create(settings.engine, model, tokenizer)
    _say({"ready": True})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        prompts = [_tokens(tokenizer, prompt) for prompt in order["prompts"]]
        generate = partial(_generate, engine._llm, order["max_tokens"])
        _say((await play(generate, prompts, order.get("apart", 0))).as_json())
    await engine.close()


def _tokens(tokenizer: ModelTokenizer, given: str | list[int]) -> list[int]:
    if isinstance(given, list):
        return given
    prompt = ChatPrompt(messages=({"role": "user", "content": given},))
    return list(render_chat(tokenizer, prompt))


async def _generate(llm: Any, max_tokens: int, index: int, tokens: list[int]) -> AsyncIterator[int]:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    params = SamplingParams(
        max_tokens=max_tokens, temperature=0, ignore_eos=True, output_kind=RequestOutputKind.DELTA
    )
    async for output in llm.generate({"prompt_token_ids": tokens}, params, f"bare-{next(_numbers)}-{index}"):
        yield len(output.outputs[0].token_ids)


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
