"""Hooks for schemathesis: most generated bodies name a model that is served, so that they get far."""

import os
import random
from typing import Any

import schemathesis

_chance = random.Random(1)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Put the served model's name where the generator made one up."""
    if isinstance(body, dict) and isinstance(body.get("model"), str) and _chance.random() < 0.75:
        path = context.operation.path
        name = os.environ["FUZZ_EMBEDDER"] if path.endswith("/embeddings") else os.environ["FUZZ_MODEL"]
        return {**body, "model": name}
    return body
