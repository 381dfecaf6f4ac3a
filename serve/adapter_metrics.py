"""Figures of adapter versions for Prometheus, read when they are asked for. Counts nothing itself."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serve.swap import NONE, Swap
from serve.watch import BASE, Watch

PERSONAL = "personal"
"""Stands for all versions of single users."""


class AdapterMetrics(Collector):
    """What this replica knows of its versions."""

    def __init__(self, swap: Swap, watch: Watch) -> None:
        self._swap = swap
        self._watch = watch

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before it is asked for."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All figures."""
        yield from self._standing()
        figures = self._watch.figures
        yield self._counter("answers", "Answers of a version.", _each(figures, "answers"))
        yield self._counter("failed", "Generations that failed.", _each(figures, "failed"))
        yield self._counter("degenerate", "Answers that were none.", _each(figures, "degenerate"))
        yield self._counter("thumbs_up", "Ratings that were thumbs up.", _each(figures, "thumbs_up"))
        yield self._counter("thumbs_down", "Ratings that were thumbs down.", _each(figures, "thumbs_down"))
        yield self._counter("tokens", "Tokens of the answers.", _each(figures, "tokens"))
        yield self._counter(
            "first_token_seconds", "Time to first token, all together.", _each(figures, "first_token_s")
        )
        shadows = self._watch.shadows
        yield self._counter("shadow_answers", "Answers tried beside those given.", _each(shadows, "tried"))
        yield self._counter("shadow_failed", "Of these, failed.", _each(shadows, "failed"))
        yield self._counter("shadow_left_out", "Not tried: too many waited.", _each(shadows, "left_out"))
        yield self._counter("shadow_tokens", "Tokens of what was tried.", _each(shadows, "tokens"))
        yield from self._harm()

    def _standing(self) -> Iterable[Metric]:
        notice = self._swap.notice()
        serving = GaugeMetricFamily(
            "palimpsest_adapter_serving", "The version for everybody.", labels=["adapter"]
        )
        serving.add_metric([notice.common.id if notice.common else NONE], 1)
        yield serving
        shadow = GaugeMetricFamily(
            "palimpsest_adapter_shadow_share", "Share of the requests that try a version.", labels=["adapter"]
        )
        if notice.shadow is not None:
            shadow.add_metric([notice.shadow.id], notice.share)
        yield shadow
        yield GaugeMetricFamily(
            "palimpsest_adapter_personal", "Users with a version of their own.", len(notice.personal)
        )
        yield GaugeMetricFamily(
            "palimpsest_adapter_revision", "Grows with every change of what serves.", notice.revision
        )

    def _harm(self) -> Iterable[Metric]:
        rollbacks = CounterMetricFamily(
            "palimpsest_adapter_rollbacks",
            "Versions that this replica took back.",
            labels=["adapter", "signal"],
        )
        for (version, signal), count in self._watch.rollbacks.items():
            rollbacks.add_metric([version, signal], count)
        yield rollbacks
        evidence = GaugeMetricFamily(
            "palimpsest_adapter_evidence",
            "How near a signal is to the end of its band, which is 1.",
            labels=["adapter", "signal"],
        )
        common = self._swap.notice().common
        for signal, value in self._watch.evidence().get(common.id if common else BASE, {}).items():
            evidence.add_metric([common.id if common else NONE, signal], value)
        yield evidence

    def _counter(self, name: str, text: str, values: Mapping[str, float]) -> Metric:
        """A value for each version; those of single users together."""
        family = CounterMetricFamily(f"palimpsest_adapter_{name}", text, labels=["adapter"])
        sums: dict[str, float] = {}
        for version, value in values.items():
            label = PERSONAL if version in self._watch.personal else version or NONE
            sums[label] = sums.get(label, 0) + value
        for label, value in sums.items():
            family.add_metric([label], value)
        return family


def _each(figures: Mapping[str, object], name: str) -> dict[str, float]:
    return {version: float(getattr(found, name)) for version, found in figures.items()}
