"""Which version answers a request: decided once, at its start. Knows no route and no reply."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from actors.generator import Generator
from actors.lineage import Lineage
from actors.messages import InvalidRequest, NotFound, NotReady, PalError
from actors.training.notice import Board, Notice, Placed
from actors.training.versions import COMMON
from serve.watch import Watch

NONE = "none"
"""What a request names that wants the base model."""
AGAIN_S = 1.0
"""Between two calls to who holds the versions, while it is being restarted."""
ALL = 2**64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What generates one request, from its first token to its last."""

    version: Placed | None = None
    """An adapter; None: the base model."""
    scope: str = COMMON
    shadow: Placed | None = None
    """A version that answers too, unseen."""
    serves: bool = False
    """It is what serves now: its answers count for it, or against it."""

    @property
    def name(self) -> str | None:
        """The adapter's name in the engine, which is the version's id."""
        return self.version.id if self.version else None

    @property
    def path(self) -> Path | None:
        """The adapter's directory."""
        return self.version.path if self.version else None


BASE = Chosen()
"""The base model, because it was asked for."""


def version_header(chosen: Chosen) -> dict[str, str]:
    """The header that says which version answers."""
    return {"x-palimpsest-adapter": quote(chosen.name or NONE)}


class Swap:
    """What one replica knows of what serves; every request reads it anew, from the notice of the lineage."""

    def __init__(self, home: Path, generator: Generator, lineage: Lineage | None, watch: Watch) -> None:
        self._generator = generator
        self._lineage = lineage
        self._watch = watch
        self._board = Board(home / "adapters")
        self._revision = 0
        self._unfit: set[str] = set()
        """Versions that serve, and that this engine cannot load."""

    async def chosen(self, user: str, wanted: str | None, id: str) -> Chosen:
        """What answers the user's request of this id: his own version, else the common one, else the base.

        `wanted` is a version that passed a gate, or "none". Raises NotFound, InvalidRequest.
        """
        if wanted is not None:
            return BASE if wanted == NONE else await self._named(user, wanted)
        if self._lineage is None:
            return Chosen(serves=True)
        notice = self.notice()
        own = notice.personal.get(user)
        if own is not None:
            return Chosen(version=own, scope=user, serves=True)
        common = notice.common if notice.common and notice.common.id not in self._unfit else None
        falls = notice.shadow is not None and falls_within(id, notice.share)
        return Chosen(version=common, shadow=notice.shadow if falls else None, serves=True)

    def notice(self) -> Notice:
        """What serves now."""
        notice = self._board.look()
        if notice.revision != self._revision:
            self._revision = notice.revision
            serving = [one.id for one in (notice.common, *notice.personal.values()) if one]
            self._watch.stands(notice.common.id if notice.common else "", serving)
        return notice

    async def follow(self) -> None:
        """Load what serves, then each version before it begins to serve, for as long as this replica is."""
        if self._lineage is None:
            return
        notice = self.notice()
        for one in (notice.shadow, notice.common):
            if one is not None and (fault := await self._load(one)):
                log.error("the base model answers: adapter %s cannot be loaded: %s", one.id, fault)
                self._unfit.add(one.id)
        replica, loaded, fault = uuid4().hex, "", ""
        while True:
            try:
                coming = await self._lineage.follow(replica, loaded, fault)
            except NotReady:
                await asyncio.sleep(AGAIN_S)
                continue
            if coming is not None:
                loaded, fault = coming.id, await self._load(Placed(coming.id, Path(coming.path)))
                self._unfit.discard(loaded)

    async def _load(self, version: Placed) -> str:
        """Load and measure a version; returns why it cannot serve here, if so."""
        try:
            await self._generator.load_adapter(version.id, version.path)
            await self._watch.begun(version)
        except PalError as error:
            return error.message
        return ""

    async def _named(self, user: str, wanted: str) -> Chosen:
        if self._lineage is None:
            raise unknown_version(wanted)
        try:
            version = await self._lineage.get(wanted)
        except NotFound as error:
            raise unknown_version(wanted) from error
        if version.scope not in (COMMON, user):
            raise unknown_version(wanted)
        if version.forgotten:
            raise InvalidRequest(f"{wanted} learned from what was forgotten.", "adapter", "unusable_adapter")
        passed = version.verdict is not None and version.verdict.accepted
        if not passed and version.state not in ("serving", "shadow"):
            raise InvalidRequest(f"No gate has accepted {wanted}.", "adapter", "unusable_adapter")
        return Chosen(version=Placed(version.id, Path(version.path)), scope=version.scope)


def falls_within(id: str, share: float) -> bool:
    """Whether a reply's id, whose end is the hex of a hash, is among this share of all."""
    return int(id[-16:], 16) < share * ALL


def unknown_version(wanted: str) -> NotFound:
    """There is no such version, or it is another user's."""
    return NotFound(f"There is no adapter version '{wanted[:100]}'.", "adapter", "adapter_not_found")
