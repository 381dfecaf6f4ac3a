"""Hooks for schemathesis: most requests name a model that is served or one user, so that they get far."""

import json
import os
import random
from typing import Any

import schemathesis

USER = "ann"
TIMES = (None, 0, 1.7e9, -1.7e9, 1e300, "soon")
_chance = random.Random(1)


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: Any, value: Any) -> bytes:  # noqa: ARG001
    """Most generated texts become the record of a memory; the rest are sent as they are."""
    text = value if isinstance(value, str) else json.dumps(value)
    if _chance.random() < 0.75:
        record = {"text": text, "said_at": _chance.choice(TIMES), "created_at": _chance.choice(TIMES)}
        text = json.dumps({name: time for name, time in record.items() if time is not None})
    return text.encode(errors="replace")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Put the served model's name where the generator made one up."""
    if isinstance(body, dict) and isinstance(body.get("model"), str) and _chance.random() < 0.75:
        path = context.operation.path
        name = os.environ["FUZZ_EMBEDDER"] if path.endswith("/embeddings") else os.environ["FUZZ_MODEL"]
        return {**body, "model": name}
    return _of_one_user(body)


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:  # noqa: ARG001
    """Ask for the memories of the user whose memories other requests make."""
    return _of_one_user(query)


def _of_one_user(values: Any) -> Any:
    if isinstance(values, dict) and "user_id" in values and _chance.random() < 0.75:
        return {**values, "user_id": USER}
    return values
