"""Replicas that load a version before it begins to serve. Knows no engine, and nothing of what serves."""

import asyncio
import logging
import time
from contextlib import suppress

from actors.messages import InvalidRequest
from actors.training.versions import Version

TURN_S = 20.0
"""How long a replica's call waits for a version before it returns, to be made again."""
LOST_S = 30.0
"""How long after its last call a replica is no longer counted on."""
LOOK_S = 1.0
"""How often it is looked whether a replica is still counted on."""

log = logging.getLogger(__name__)


class Followers:
    """All replicas that call `follow`, one call at a time each."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        """When each replica's last call ended; infinite while it waits in one."""
        self._told: dict[str, tuple[str, str]] = {}
        """The version that each spoke of last, and why it cannot be loaded there (empty: it is loaded)."""
        self._coming: Version | None = None
        self._moved = asyncio.Condition()
        self._preparing = asyncio.Lock()

    async def follow(self, replica: str, loaded: str = "", fault: str = "") -> Version | None:
        """The next version to be loaded; None after a while without one, to be called again.

        `loaded` is the version that the call before gave, and `fault` says why it could not be loaded.
        """
        async with self._moved:
            self._last[replica] = float("inf")
            self._told[replica] = (loaded, fault)
            self._moved.notify_all()
            try:
                async with asyncio.timeout(TURN_S):
                    await self._moved.wait_for(lambda: self._coming is not None and self._coming.id != loaded)
            except TimeoutError:
                return None
            finally:
                self._last[replica] = time.monotonic()
            return self._coming

    async def prepare(self, version: Version, limit_s: float) -> None:
        """Returns once every replica has loaded the version, or after `limit_s`: the others load it later.

        Raises InvalidRequest where one cannot load it.
        """
        async with self._preparing, self._moved:
            self._coming = version
            self._moved.notify_all()
            deadline = time.monotonic() + limit_s
            try:
                while not self._settled(version.id):
                    left = deadline - time.monotonic()
                    if left <= 0:
                        log.warning("not every replica had loaded adapter %s in %g s", version.id, limit_s)
                        break
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._moved.wait(), min(left, LOOK_S))
            finally:
                self._coming = None
        faults = [fault for id, fault in self._told.values() if id == version.id and fault]
        if faults:
            raise InvalidRequest(f"adapter {version.id} cannot be loaded by the engine: {faults[0]}")

    def _settled(self, id: str) -> bool:
        now = time.monotonic()
        there = [replica for replica, last in self._last.items() if now - last < LOST_S]
        return all(self._told[replica][0] == id for replica in there)
