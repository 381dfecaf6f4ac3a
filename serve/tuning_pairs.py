"""What a fine-tuning job on preferences (DPO) is told. Knows no route and no training."""

import math
from collections.abc import Mapping
from typing import Any

from actors.messages import Json
from configs.learning import LearningSettings
from serve.tuning_wire import Dpo, DpoHyperparameters, Method

METHOD = "dpo"


def asked(method: Method) -> DpoHyperparameters:
    """What a request says of it."""
    return (method.dpo or Dpo()).hyperparameters


def beta(asked: DpoHyperparameters) -> float:
    """What "auto" stands for."""
    return LearningSettings().preference_beta if asked.beta == "auto" else asked.beta


def training_tree(
    model: str, chosen: Mapping[str, Any], pairs: int, mean: float, seed: int
) -> dict[str, Json]:
    """The settings of the training, without its data. `mean` counts tokens of a pair."""
    base = LearningSettings()
    learning = {
        "rank": base.rank,
        "epochs": chosen["n_epochs"],
        "batch": 2 * chosen["batch_size"],
        "preference_rate": base.preference_rate * chosen["learning_rate_multiplier"],
        "preference_beta": chosen["beta"],
        "preference_stop": 0.0,
        "preference_unseen": 0,
        "cpu_seconds": 1e9,
        "seed": seed,
    }
    return {
        "method": METHOD,
        "model": model,
        "seed": seed,
        "steps": chosen["n_epochs"] * math.ceil(pairs / chosen["batch_size"]),
        "length": math.ceil(mean),
        "batch": chosen["batch_size"],
        "learning": learning,
    }
