"""vLLM in this process: the one door to it."""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from actors.engines.adapter import check_adapter
from actors.engines.grammar import strict_schema
from actors.engines.leash import leashed
from actors.messages import (
    Capabilities,
    EngineFailed,
    Health,
    InvalidRequest,
    NotFound,
    NotReady,
    Sampling,
    TokenDelta,
    TokenLogprob,
)
from actors.models.tokenizer import ModelTokenizer, end_ids
from configs.schema import EngineSettings

QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TQDM_DISABLE": "1",
}
MOST_LOGPROBS = 20
WORKER = "actors.engines.vllm_worker.GroupedAdapters"


class VllmEngine:
    """Generates with vLLM's AsyncLLM, which computes in a process of its own."""

    def __init__(self, settings: EngineSettings, path: Path, tokenizer: ModelTokenizer, llm: Any) -> None:
        self._settings = settings
        self._path = path
        self._llm = llm
        self._ends = end_ids(path, tokenizer)
        self._adapters: dict[str, Any] = {}
        self._adapter_ids = itertools.count(1)
        self._held = 0
        """Adapters that vLLM has in memory, those on their way out too."""
        self._users: dict[str, int] = {}
        self._idle = asyncio.Condition()
        self._requests: Counter[str] = Counter()

    @classmethod
    async def create(cls, settings: EngineSettings, path: Path, tokenizer: ModelTokenizer) -> "VllmEngine":
        """Start vLLM without blocking the event loop. Raises NotReady if it cannot serve this model."""
        llm = await asyncio.to_thread(_start, settings, path)
        if llm.vllm_config.parallel_config.worker_extension_cls:
            await llm.collective_rpc("group_adapters")
        return cls(settings, path, tokenizer, llm)

    async def generate(
        self, request_id: str, tokens: Sequence[int], sampling: Sampling, adapter: str | None = None
    ) -> AsyncGenerator[TokenDelta, None]:
        """Yield deltas as vLLM gives them; it may join tokens that came at once."""
        lora = self._adapter(adapter)
        params = self._params(sampling)
        self._requests[request_id] += 1
        self._users[adapter or ""] = self._users.get(adapter or "", 0) + 1
        try:
            async with aclosing(self._outputs(request_id, tokens, params, lora)) as outputs:
                async for output in outputs:
                    yield self._delta(output, sampling)
        finally:
            self._requests -= Counter({request_id: 1})
            await self._leave(adapter or "")

    async def score(self, tokens: Sequence[int], adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """Log probability of each token after the first, by vLLM's prompt_logprobs."""
        params = _sampling_params(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        request_id = f"score-{next(self._adapter_ids)}-{id(tokens)}"
        lora = self._adapter(adapter)
        rows: Sequence[Any] = ()
        async with aclosing(self._outputs(request_id, tokens, params, lora)) as outputs:
            async for output in outputs:
                rows = output.prompt_logprobs or rows
        pairs = zip(tokens[1:], rows[1:], strict=True)
        return tuple(TokenLogprob(token, row[token].logprob) for token, row in pairs)

    async def load_adapter(self, name: str, path: Path) -> None:
        """Load a LoRA adapter. Each load gets an id of its own, so that no stale prefix cache is reused."""
        from vllm.lora.request import LoRARequest
        from vllm.v1.engine.exceptions import EngineDeadError

        if not self._settings.max_adapters:
            raise InvalidRequest("engine.max_adapters is 0: set it to how many adapters to hold")
        check_adapter(path)
        if name in self._adapters:
            if self._adapters[name].lora_path == str(path):
                return
            await self.unload_adapter(name)
        if self._held >= self._settings.max_adapters:
            raise InvalidRequest(
                f"{self._held} adapters are loaded: unload one, or raise engine.max_adapters"
            )
        self._held += 1
        lora = LoRARequest(name, next(self._adapter_ids), str(path))
        adding = asyncio.ensure_future(self._llm.add_lora(lora))
        await asyncio.wait({adding})
        fault = adding.exception()
        if fault is not None:
            self._held -= 1
            if isinstance(fault, EngineDeadError):
                raise EngineFailed(f"vLLM stopped: {fault}") from fault
            raise InvalidRequest(f"adapter {name!r} does not fit the model: {fault}") from fault
        self._adapters[name] = lora

    async def unload_adapter(self, name: str) -> None:
        """Remove an adapter once no request uses it. Raises NotFound."""
        lora = self._adapter(name)
        del self._adapters[name]
        async with self._idle:
            await self._idle.wait_for(lambda: not self._users.get(name))
        await self._llm.remove_lora(lora.lora_int_id)
        self._held -= 1

    def capabilities(self) -> Capabilities:
        """What vLLM can do with its model."""
        return Capabilities(
            engine="vllm",
            model=self._path.name,
            max_context=int(self._llm.vllm_config.model_config.max_model_len),
            json_schema=True,
            logprobs=True,
            adapters=self._settings.max_adapters > 0,
        )

    async def health(self) -> Health:
        """Well while vLLM's process lives."""
        requests = self._requests.total()
        waiting = max(requests - self._settings.max_sequences, 0)
        if self._llm.errored:
            return Health(ok=False, detail="vLLM's process has stopped; restart the server")
        return Health(ok=True, running=requests - waiting, waiting=waiting)

    async def close(self) -> None:
        """End vLLM's process; running requests end with EngineFailed."""
        if not self._llm.errored:
            await self._llm.abort(list(self._requests))
        await asyncio.to_thread(self._llm.shutdown)

    def _adapter(self, name: str | None) -> Any:
        if name is None:
            return None
        if name not in self._adapters:
            raise NotFound(f"adapter {name!r} is not loaded", param="model")
        return self._adapters[name]

    async def _leave(self, adapter: str) -> None:
        self._users[adapter] -= 1
        if adapter and not self._users[adapter]:
            async with self._idle:
                self._idle.notify_all()

    async def _outputs(
        self, request_id: str, tokens: Sequence[int], params: Any, lora: Any
    ) -> AsyncGenerator[Any, None]:
        """vLLM's outputs of one request, its errors as ours. Closing it aborts the request."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs.engine import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        prompt = tokens_input(list(tokens))
        outputs = self._llm.generate(prompt, params, request_id, lora_request=lora)
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    yield output
        except (EngineDeadError, EngineGenerateError) as error:
            raise EngineFailed(f"vLLM failed: {error.__cause__ or error}") from error
        except (VLLMClientError, ValueError) as error:
            raise InvalidRequest(str(error)) from error

    def _params(self, sampling: Sampling) -> Any:
        given: dict[str, Any] = {}
        if sampling.json_schema is not None:
            from vllm.sampling_params import StructuredOutputsParams

            given["structured_outputs"] = StructuredOutputsParams(json=strict_schema(sampling.json_schema))
        if (sampling.logprobs or 0) > MOST_LOGPROBS:
            raise InvalidRequest(
                f"at most {MOST_LOGPROBS} alternatives can be reported", param="top_logprobs"
            )
        return _sampling_params(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=sampling.seed,
            logprobs=sampling.logprobs,
            logit_bias=dict(sampling.logit_bias) or None,
            frequency_penalty=sampling.frequency_penalty,
            presence_penalty=sampling.presence_penalty,
            ignore_eos=sampling.ignore_eos,
            stop_token_ids=[] if sampling.ignore_eos else list(self._ends),
            detokenize=False,
            **given,
        )

    def _delta(self, output: Any, sampling: Sampling) -> TokenDelta:
        """vLLM's delta without the end token."""
        completion = output.outputs[0]
        ids = tuple(completion.token_ids)
        finish = completion.finish_reason
        if finish not in (None, "stop", "length"):
            raise EngineFailed(f"vLLM ended the request: {finish}")
        if finish == "stop" and ids and ids[-1] in self._ends and not sampling.ignore_eos:
            ids = ids[:-1]
        logprobs: tuple[TokenLogprob, ...] = ()
        if sampling.logprobs is not None:
            rows = zip(ids, completion.logprobs or (), strict=False)
            logprobs = tuple(_logprob(token, row, sampling.logprobs) for token, row in rows)
        return TokenDelta(
            token_ids=ids,
            logprobs=logprobs,
            finish_reason=finish,
            cached_tokens=output.num_cached_tokens or 0,
        )


def _start(settings: EngineSettings, path: Path) -> Any:
    """Import and start vLLM, which takes half a minute."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.async_llm import AsyncLLM

    cpu = current_platform.is_cpu()
    devices = 1 if cpu else current_platform.device_count()
    arguments = engine_arguments(settings, path, cpu=cpu, devices=devices)
    try:
        with leashed():
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
    except (ValueError, RuntimeError) as error:
        raise NotReady(f"vLLM cannot serve {path.name}: {error}") from error


def engine_arguments(settings: EngineSettings, path: Path, *, cpu: bool, devices: int) -> dict[str, Any]:
    """vLLM's engine arguments for these settings on a machine with `devices` GPUs (or none: `cpu`).

    On a CPU with one compute thread vLLM's scheduler computes itself: a worker process beside it, which vLLM
    would start for the sake of thread settings, imports vLLM once more and waits for work in a busy loop.
    """
    from vllm.config import StructuredOutputsConfig

    from actors.engines.device import cpu_knows_bfloat16

    arguments: dict[str, Any] = {
        "model": str(path),
        "dtype": "float32"
        if settings.dtype == "auto" and cpu and not cpu_knows_bfloat16()
        else settings.dtype,
        "max_model_len": settings.max_context or -1,
        "max_num_seqs": settings.max_sequences,
        "enforce_eager": cpu if settings.enforce_eager is None else settings.enforce_eager,
        "enable_prefix_caching": True,
        "enable_lora": settings.max_adapters > 0,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "max_logprobs": MOST_LOGPROBS,
        "generation_config": "vllm",
        "tensor_parallel_size": settings.tensor_parallel,
        "pipeline_parallel_size": settings.pipeline_parallel,
        "structured_outputs_config": StructuredOutputsConfig(backend="guidance", disable_any_whitespace=True),
    }
    if settings.max_adapters:
        arguments |= {"max_loras": settings.max_adapters, "max_lora_rank": settings.max_adapter_rank}
    if cpu:
        arguments["worker_extension_cls"] = WORKER if settings.max_adapters else ""
        arguments["kv_cache_memory_bytes"] = int(settings.kv_cache_gib * (1 << 30))
        if settings.threads == settings.tensor_parallel * settings.pipeline_parallel == 1:
            from vllm.v1.executor.uniproc_executor import UniProcExecutor

            arguments["distributed_executor_backend"] = UniProcExecutor
    else:
        arguments["gpu_memory_utilization"] = settings.gpu_memory_utilization
        if settings.tensor_parallel * settings.pipeline_parallel > devices:
            arguments["distributed_executor_backend"] = "ray"
    return arguments


def _sampling_params(**given: Any) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(output_kind=RequestOutputKind.DELTA, skip_clone=True, **given)


def _logprob(token: int, row: Mapping[int, Any], alternatives: int) -> TokenLogprob:
    ranked = sorted(row.items(), key=lambda item: item[1].rank)[:alternatives]
    return TokenLogprob(token, row[token].logprob, tuple((one, entry.logprob) for one, entry in ranked))
