"""Counts and times for Prometheus, under vLLM's names where the meaning is the same."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from actors.messages import Compressed, TextDelta
from actors.training.figures import GAUGES, TAG
from actors.training.records import Live

_FIRST_TOKEN_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10, 20, 40, 80, 160)
_TOKEN_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.2, 0.4, 0.8, 1.6, 5)
_COMPRESS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 3, 10)
_REQUEST_S = (0.005, 0.02, 0.1, 0.3, 0.6, 1.2, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)


class Metrics:
    """The metrics of one application, in a registry of its own. `model` labels those of generation."""

    def __init__(self, model: str) -> None:
        registry = self._registry = CollectorRegistry()
        names = ("model_name",)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            found = Histogram(name, text, names, buckets=buckets, registry=registry)
            return found.labels(model)

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, names, registry=registry).labels(model)

        self.running: Gauge = Gauge(
            "vllm:num_requests_running", "Generations under way.", names, registry=registry
        ).labels(model)
        self.waiting: Gauge = Gauge(
            "vllm:num_requests_waiting", "Requests in the queue.", names, registry=registry
        ).labels(model)
        self._prompt = counter("vllm:prompt_tokens", "Prompt tokens read.")
        self._cached = counter("vllm:prompt_tokens_cached", "Prompt tokens served from the prefix cache.")
        self._generated = counter("vllm:generation_tokens", "Tokens generated.")
        self.first_token = histogram(
            "vllm:time_to_first_token_seconds", "Time to first token.", _FIRST_TOKEN_S
        )
        self.between = histogram("vllm:inter_token_latency_seconds", "Time between deltas.", _TOKEN_S)
        self._latency = histogram("vllm:e2e_request_latency_seconds", "Time of a generation.", _REQUEST_S)
        self._finished = Counter(
            "vllm:request_success",
            "Generations by how they ended.",
            ("model_name", "finished_reason"),
            registry=registry,
        )
        self._model = model
        self._of_http(registry)

    def _of_http(self, registry: CollectorRegistry) -> None:
        """Counters of requests and of what was done for them, whatever the model."""
        self._replies = Counter(
            "palimpsest_http_requests", "HTTP replies.", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "palimpsest_http_request_seconds",
            "Time until a reply was sent.",
            ("route",),
            buckets=_REQUEST_S,
            registry=registry,
        )
        self.rejected = Counter(
            "palimpsest_rejected_requests",
            "Requests turned away because of load.",
            ("reason",),
            registry=registry,
        )
        self.abandoned = Counter(
            "palimpsest_abandoned_generations",
            "Generations stopped before their end, mostly because the client left.",
            registry=registry,
        )
        self.passages = Counter(
            "palimpsest_retrieved_passages", "Passages put into prompts.", registry=registry
        )
        self._compress_tokens = Counter(
            "palimpsest_compress_tokens",
            "Tokens of texts given to the compressor, and of what came back.",
            ("when",),
            registry=registry,
        )
        self._compress_seconds = Histogram(
            "palimpsest_compress_seconds",
            "Time to compress a text.",
            ("bypassed",),
            buckets=_COMPRESS_S,
            registry=registry,
        )

        self._training = {
            figure: (Gauge(name, text, (TAG,), registry=registry), factor)
            for figure, (name, text, factor) in GAUGES.items()
        }

    def also(self, collector: Collector) -> None:
        """Show what somebody else counts, too."""
        self._registry.register(collector)

    def training(self, live: Sequence[Live]) -> None:
        """What trains now, and nothing else."""
        for figure, (gauge, factor) in self._training.items():
            gauge.clear()
            for job in live:
                value = job.figures.get(figure)
                if value is not None:
                    gauge.labels(job.id).set(value * factor)

    def reply(self, route: str, status: int, seconds: float) -> None:
        """One HTTP reply went out."""
        self._replies.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def finished(self, last: TextDelta, seconds: float) -> None:
        """One generation came to its end, with the totals of its last delta."""
        self._finished.labels(self._model, last.finish_reason or "stop").inc()
        self._prompt.inc(last.prompt_tokens)
        self._cached.inc(last.cached_tokens)
        self._generated.inc(last.completion_tokens)
        self._latency.observe(seconds)

    def compressed(self, found: Compressed) -> None:
        """One text went through the compressor."""
        self._compress_tokens.labels("before").inc(found.tokens_before)
        self._compress_tokens.labels("after").inc(found.tokens_after)
        self._compress_seconds.labels(str(found.bypassed).lower()).observe(found.seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)
