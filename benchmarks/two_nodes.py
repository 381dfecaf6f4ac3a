"""Two shards on two Ray nodes of this machine: one node is lost in mid-stream, another joins, streams go on.

    python -m benchmarks.two_nodes [--streams 4] [--tokens 48]

The nodes are raylets with stores of their own (ray.cluster_utils). Prints where the shards were before and
after, and how many streams ended with the tokens of an undisturbed run; 1 if any did not.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from actors.engines.choose import model_directory
from actors.engines.torch import TorchEngine
from actors.messages import Sampling
from actors.models.tokenizer import ModelTokenizer
from configs.load import load

TEXT = "Ray nodes come and go, and yet the story goes on: once upon a time there was number {}, and"


def main() -> int:
    """Run it on a cluster of its own; 0 if every stream ended right and the nodes were two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=4, help="Streams at once.")
    parser.add_argument("--tokens", type=int, default=48, help="Tokens of each.")
    parser.add_argument("--model", help="Directory of the model; default: engine.model of the settings.")
    options = parser.parse_args()
    model = Path(options.model) if options.model else model_directory(load().settings)
    figures = run(model, options.streams, options.tokens)
    print(json.dumps(figures))
    return 0 if figures["right"] == options.streams and figures["apart"] else 1


def run(model: Path, streams: int, tokens: int) -> dict[str, object]:
    """The figures of one run; starts a cluster and stops it."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1)]
    ray.init(address=cluster.address, log_to_driver=False)

    def exchange() -> None:
        """Must run in the main thread, because the new node installs a signal handler."""
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        nodes.append(cluster.add_node(num_cpus=1))

    try:
        return asyncio.run(_run(model, streams, tokens, exchange))
    finally:
        ray.shutdown()
        cluster.shutdown()


async def _run(model: Path, streams: int, tokens: int, exchange: Callable[[], None]) -> dict[str, object]:
    settings = load().settings.engine.model_copy(update={"shards": 2, "threads": 1})
    tokenizer = ModelTokenizer(model)
    prompts = [tokenizer.encode(TEXT.format(number)) for number in range(streams)]
    engine = await TorchEngine.create(settings, model, tokenizer)
    before = [facts.node for facts in await engine.facts()]
    expected = await asyncio.gather(*(_tokens(engine, prompt, tokens) for prompt in prompts))
    under_way = asyncio.Event()
    playing = [asyncio.create_task(_tokens(engine, prompt, tokens, under_way)) for prompt in prompts]
    await under_way.wait()
    began = time.perf_counter()
    exchange()
    answers = await asyncio.gather(*playing)
    after = [facts.node for facts in await engine.facts()]
    await engine.close()
    return {
        "nodes_before": before,
        "nodes_after": after,
        "apart": len(set(before)) == len(set(after)) == 2,
        "streams": streams,
        "right": sum(answer == right for answer, right in zip(answers, expected, strict=True)),
        "from_loss_to_end_s": round(time.perf_counter() - began, 1),
    }


async def _tokens(
    engine: TorchEngine, prompt: Sequence[int], tokens: int, under_way: asyncio.Event | None = None
) -> list[int]:
    sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
    answer: list[int] = []
    async for delta in engine.generate(f"two-nodes-{id(prompt)}", prompt, sampling):
        answer += delta.token_ids
        if under_way and len(answer) == tokens // 4:
            under_way.set()
    return answer


if __name__ == "__main__":
    raise SystemExit(main())
