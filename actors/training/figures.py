"""What a training's figures are called as metrics, and Ray's gauges of them. Knows no training."""

from collections.abc import Mapping
from typing import Any

from actors.spawn import connected

GAUGES: Mapping[str, tuple[str, str, float]] = {
    "step": ("palimpsest_train_step", "Steps of a training that are done.", 1),
    "steps": ("palimpsest_train_steps", "Steps of a training in all.", 1),
    "loss": ("palimpsest_train_loss", "Loss of a training's last step, in nats a token.", 1),
    "eval_loss": ("palimpsest_train_eval_loss", "Loss of a training on data that it does not learn.", 1),
    "lr": ("palimpsest_train_learning_rate", "Learning rate of a training's last step.", 1),
    "tokens_per_s": ("palimpsest_train_tokens_per_second", "Tokens that a training reads a second.", 1),
    "memory_gib": ("palimpsest_train_memory_bytes", "Memory of a training's largest process.", 1024**3),
}
"""By figure: the metric's name, its sentence, and what the figure is multiplied by."""
TAG = "job"


class RayGauges:
    """Gauges of one training in the metrics of the Ray that this process is connected to."""

    def __init__(self, job: str) -> None:
        from ray.util.metrics import Gauge

        self._tags = {TAG: job}
        self._gauges: dict[str, Any] = {
            figure: (Gauge(name, description=text, tag_keys=(TAG,)), factor)
            for figure, (name, text, factor) in GAUGES.items()
        }

    def show(self, figures: Mapping[str, float | None]) -> None:
        """Set what there is a gauge for."""
        for figure, value in figures.items():
            if value is not None and figure in self._gauges:
                gauge, factor = self._gauges[figure]
                gauge.set(value * factor, tags=self._tags)


def ray_gauges(job: str) -> RayGauges | None:
    """The gauges of a training; None without Ray."""
    return RayGauges(job) if connected() else None
