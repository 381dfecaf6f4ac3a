"""Where ids and times of creation come from. Knows no object."""

import hashlib
import json
import secrets
import time
from dataclasses import dataclass

STORED_BYTES = 12
REPLY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """Random ids and the clock; `fixed_clock` (Unix seconds) makes both repeatable, for transcripts."""

    fixed_clock: float | None = None

    def now(self) -> float:
        """Unix seconds."""
        return time.time() if self.fixed_clock is None else self.fixed_clock

    def stored(self, prefix: str, number: int) -> str:
        """The id of a new object in row `number`, which no other object of that prefix ever has.

        Nothing that a client sends goes into it, so none can name an id before the server does.
        """
        if self.fixed_clock is None:
            return prefix + secrets.token_hex(STORED_BYTES)
        return prefix + _digest(STORED_BYTES, prefix, number)


RANDOM = Identity()


def reply_id(prefix: str, user: str, request_id: str, body: bytes, ordinal: int = 0) -> str:
    """The id of the reply to one request: the same for the same bytes sent again under the same request id.

    A request id that stands for several different requests still gives each reply an id of its own.
    `ordinal` tells requests of one connection apart. The id names nothing that is stored.
    """
    return prefix + _digest(REPLY_BYTES, prefix, user, request_id, hashlib.sha256(body).hexdigest(), ordinal)


def _digest(length: int, *parts: str | int) -> str:
    """Hex of a hash over parts, whose borders count."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[: 2 * length]
