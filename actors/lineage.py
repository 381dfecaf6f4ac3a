"""Holds adapter versions: which serves, which came before, on what data, why. Knows no engine."""

import asyncio
import logging
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from actors.identity import RANDOM, Identity
from actors.memory.database import DirectoryLock
from actors.messages import Health, InvalidRequest, Json, NotFound, NotReady
from actors.training import manifests
from actors.training.followers import Followers
from actors.training.journal import STANDS, Journal
from actors.training.manifests import Base, refused
from actors.training.notice import publish
from actors.training.versions import COMMON, Answer, Move, Standing, Verdict, Version
from configs.schema import Settings

DRAFT = ".draft-"
PREPARE_S = 60.0
"""How long a promotion waits for replicas that are slow to load a version."""
NOTE_S = 0.5
"""How long what stands behind an answer may wait until it is written down."""

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """What is told of an adapter beside its files."""

    scope: str
    parent: str | None
    method: str
    events: tuple[str, ...]
    scores: Mapping[str, float]

    @classmethod
    def of(cls, manifest: Mapping[str, Json] | None, scope: str | None = None) -> "Given":
        """What its manifest tells. Raises InvalidRequest where there is none."""
        if manifest is None:
            raise refused("there is no manifest.json: it says which model, which data and which hashes")
        events = tuple(dict.fromkeys(manifest["events"]))
        scope = str(manifest.get("scope", COMMON)) if scope is None else scope
        return cls(scope, manifest["parent"], manifest["method"], events, manifest["scores"])


class Lineage:
    """The versions below `<home>/adapters`, of which this is the only opener.

    A version is an immutable directory; its state is in a journal. A change that was made twice, because the
    first reply was lost, is made once.
    """

    def __init__(self, settings: Settings, identity: Identity = RANDOM) -> None:
        self._settings = settings
        self._identity = identity
        self._root = settings.home / "adapters"
        self._lock = DirectoryLock(self._root)
        self._opened: Journal | None = None
        self._worker = ThreadPoolExecutor(1, "lineage")
        self._standing = Standing(revision=0)
        self._change = asyncio.Condition()
        self._followers = Followers()
        self._notes: list[Answer] = []
        self._noting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the versions, and clear what a crash left. Raises Locked, NotReady."""
        if self._opened is None:
            await self._work(self._open)

    async def close(self) -> None:
        """Write down what waits, and let others open the directory."""
        if self._opened is None:
            return
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.wait({self._noting})
        await self._write_notes()
        await self._work(self._close)

    async def health(self) -> Health:
        """Well once the versions are open."""
        return Health(ok=self._opened is not None, detail="" if self._opened else "adapters are not open yet")

    # --- what there is ---

    async def get(self, id: str) -> Version:
        """Raises NotFound."""
        return await self._work(lambda: self._journal.version(id))

    async def versions(self, scope: str | None = None) -> list[Version]:
        """All, or those of one scope, oldest first."""
        return await self._work(lambda: self._journal.versions(scope))

    async def moves(self, id: str) -> list[Move]:
        """What became of a version, in order. Raises NotFound."""
        return await self._work(lambda: self._journal.moves(self._journal.version(id).id))

    async def standing(self) -> Standing:
        """What serves now, of what is made for the model that is served."""
        return self._standing

    async def changed(self, since: int, patience_s: float) -> Standing:
        """As `standing`, once its revision is not `since`, or after `patience_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._change:
                await self._change.wait_for(lambda: self._standing.revision != since)
        return self._standing

    async def follow(self, replica: str, loaded: str = "", fault: str = "") -> Version | None:
        """What a replica is to load before it serves, as soon as there is something: see `Followers`."""
        return await self._followers.follow(replica, loaded, fault)

    async def forgotten(self, events: Sequence[str]) -> list[str]:
        """Which of them were forgotten: nothing is to be learned from these."""
        return await self._work(lambda: self._journal.forgotten(events))

    async def to_retrain(self) -> list[Version]:
        """Versions that stood until something of theirs was forgotten, in scopes where none served since."""
        return await self._work(lambda: self._journal.to_retrain())

    # --- what becomes of them ---

    async def admit(
        self,
        folder: Path,
        *,
        scope: str = COMMON,
        parent: str | None = None,
        method: str,
        events: Sequence[str],
        scores: Mapping[str, float],
    ) -> Version:
        """Check an adapter and copy it in as a candidate; the same content again is the same version.

        Raises InvalidRequest with code `adapter_refused` for what is wrong with its content.
        """
        given = Given(scope, parent, method, tuple(dict.fromkeys(events)), scores)
        return await self._work(lambda: self._admit(Path(folder), given))

    async def take(self, folder: Path, scope: str | None = None) -> Version:
        """Check an adapter that was exported elsewhere, and copy it in as a candidate, as its manifest says.

        `scope` is whom it is to serve, if not whom it served there. Raises InvalidRequest with code
        `adapter_refused` for what is wrong with its content.
        """
        return await self._work(lambda: self._admit(Path(folder), None, scope))

    async def judge(self, id: str, verdict: Verdict) -> Version:
        """Write a gate's verdict down; what it does not accept is refused for good.

        Raises NotFound, InvalidRequest.
        """
        return await self._moved(id, lambda journal, at: journal.judge(id, verdict, at))

    async def promote(self, id: str, shadow_share: float = 0.0, *, force: bool = False) -> Version:
        """Let a version serve, or with a share try it on as many requests; the one before it is retired.

        Every replica loads it first. Once this returns, each request that begins is answered by it. What no
        gate accepted, or was retired, needs `force`. Raises NotFound, and InvalidRequest where an engine
        cannot load it.
        """
        version = await self._work(lambda: self._promotable(self._journal, id, shadow_share, force))
        await self._followers.prepare(version, PREPARE_S)
        return await self._moved(id, lambda journal, at: self._promote(journal, id, shadow_share, force, at))

    async def retire(self, id: str, reason: str) -> Version:
        """Take a version out of service for a fault of its own: what served well before it serves again.

        Raises NotFound, InvalidRequest.
        """
        return await self._moved(id, lambda journal, at: journal.leave(id, reason, self._can_serve, at))

    async def rollback(
        self, scope: str = COMMON, reason: str = "", *, of: str | None = None
    ) -> Version | None:
        """Retire what serves; what served well before it serves again, else the base model (None).

        `of` names what is to go: nothing changes where something else serves by now.
        """
        said = reason or "rolled back"
        await self._changing(lambda journal, at: journal.rollback(scope, of, said, self._can_serve, at))
        standing = self._standing
        return standing.common if scope == COMMON else standing.personal.get(scope)

    async def forget(self, events: Sequence[str]) -> tuple[Version, ...]:
        """Nothing that learned from one of these serves any more, or is ever taken in again.

        Returns all versions that did. `to_retrain` tells which of them leave a gap.
        """
        return await self._forgetting(lambda journal, at: journal.forget(events, self._can_serve, at))

    async def forget_user(self, user: str) -> tuple[Version, ...]:
        """Nothing is left of the user's own versions, and of what stood behind his answers.

        Returns those versions. What the common ones learned from him is forgotten by its events.
        """
        if user == COMMON:
            raise InvalidRequest("a user must be named", "user")
        found = await self._changing(lambda journal, at: journal.retire_of(user, self._can_serve, at))
        await self._write_notes()
        await self._work(lambda: self._erase(user, found))
        return tuple(found)

    # --- answers ---

    async def note_answer(
        self, answer_id: str, user: str, version: str | None, memories: Sequence[str], at: float
    ) -> None:
        """Keep what stands behind an answer; it is written down soon after, with others."""
        if not self._settings.adapters.answers:
            return
        self._notes.append(Answer(id=answer_id, user=user, version=version, memories=tuple(memories), at=at))
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note_soon())

    async def answer(self, answer_id: str, user: str | None) -> Answer:
        """What stands behind an answer of the user's, or with None of anybody's. Raises NotFound."""
        await self._write_notes()
        return await self._work(lambda: self._journal.answer(answer_id, user))

    # --- parts ---

    @property
    def _journal(self) -> Journal:
        if self._opened is None:
            raise NotReady("the adapter versions are not open")
        return self._opened

    @cached_property
    def _base(self) -> Base:
        return manifests.base_of(self._settings)

    def _fits(self, version: Version) -> bool:
        return not manifests.misfit(self._base, version.base_model, version.base_model_hash)

    def _can_serve(self, version: Version) -> bool:
        return self._fits(version) and not manifests.changed(version)

    async def _work(self, work: Callable[[], T]) -> T:
        """All that touches files and the journal is done by one thread, one after another."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def _changing(self, change: Callable[[Journal, float], T]) -> T:
        """Carried to its end, and told to all who wait for it, even where the caller gives up."""
        return await asyncio.shield(asyncio.ensure_future(self._change_to_its_end(change)))

    async def _change_to_its_end(self, change: Callable[[Journal, float], T]) -> T:
        def work() -> tuple[T, Standing]:
            made = change(self._journal, self._identity.now())
            standing = self._journal.standing(self._fits)
            publish(self._root, standing)
            return made, standing

        made, standing = await self._work(work)
        async with self._change:
            if standing.revision > self._standing.revision:
                self._standing = standing
                self._change.notify_all()
        return made

    async def _moved(self, id: str, change: Callable[[Journal, float], None]) -> Version:
        await self._changing(change)
        return await self.get(id)

    async def _forgetting(self, change: Callable[[Journal, float], list[str]]) -> tuple[Version, ...]:
        ids = await self._changing(change)
        return tuple([await self.get(id) for id in ids])

    def _open(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock.acquire()
        try:
            for draft in self._root.glob(f"{DRAFT}*"):
                shutil.rmtree(draft)
            journal = Journal(self._root)
        except (sqlite3.DatabaseError, InvalidRequest) as error:
            self._lock.release()
            raise NotReady(
                f"the journal in {self._root} cannot be read ({error}): restore it from a backup, or move "
                "the directory away to start without adapters"
            ) from error
        self._opened = journal
        self._sweep(journal)
        self._standing = journal.standing(self._fits)
        publish(self._root, self._standing)

    def _close(self) -> None:
        self._journal.close()
        self._opened = None
        self._lock.release()

    def _sweep(self, journal: Journal) -> None:
        """Weights of what was forgotten go, now that no engine has them; what was harmed does not serve."""
        known = {version.id: version for version in journal.versions()}
        for folder in self._root.iterdir():
            if folder.is_dir() and folder.name not in known:
                self._adopt(folder)
        for version in known.values():
            if version.forgotten:
                shutil.rmtree(version.path, ignore_errors=True)
            elif version.state in STANDS and (harm := manifests.changed(version)):
                log.warning("adapter %s is retired: %s", version.id, harm)
                journal.leave(version.id, harm, self._can_serve, self._identity.now())

    def _adopt(self, folder: Path) -> None:
        """A whole directory that no record was written of, because of a crash, is a candidate."""
        try:
            manifest = manifests.read_manifest(folder)
            version = self._drafted(Given.of(manifest), (manifest or {})["files"], manifest)
        except InvalidRequest as error:
            log.warning("%s is left alone: %s", folder, error)
            return
        if self._journal.forgotten(version.events):
            shutil.rmtree(folder)
        elif version.id == folder.name:
            self._journal.add(version, self._identity.now())

    def _erase(self, user: str, versions: Sequence[Version]) -> None:
        for version in versions:
            shutil.rmtree(version.path, ignore_errors=True)
        self._journal.erase(user)

    def _admit(self, folder: Path, given: Given | None, scope: str | None = None) -> Version:
        manifests.check_names(folder, self._settings.adapters.max_mib * 2**20)
        draft = self._root / f"{DRAFT}{secrets.token_hex(8)}"
        try:
            manifests.copy(folder, draft)
            manifest = manifests.read_manifest(draft)
            if given is None:
                given = Given.of(manifest, scope)
            files = manifests.check_content(draft, manifest, self._base)
            version = self._drafted(given, files, manifest)
            self._check_lineage(version)
            manifests.place(draft, version)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._journal.add(version, self._identity.now())
        return self._journal.version(version.id)

    def _drafted(
        self, given: Given, files: Mapping[str, str], manifest: Mapping[str, Json] | None
    ) -> Version:
        """The version of an adapter; without a manifest it was trained here, for the model that is served."""
        manifests.check_scores(given.scores)
        id = manifests.version_id(given.method, given.scope, given.parent, files)
        told = manifest or {"base_model": self._base.name, "base_model_hash": self._base.sha256}
        return Version(
            id=id,
            scope=given.scope,
            base_model=told["base_model"],
            base_model_hash=told.get("base_model_hash") or "",
            parent=given.parent,
            created_at=float(told.get("created_at", self._identity.now())),
            method=given.method,
            events=given.events,
            scores=dict(given.scores),
            files=files,
            path=str(self._root / id),
        )

    def _check_lineage(self, version: Version) -> None:
        """Nothing comes back that was forgotten, by its own data or by its parent's."""
        gone = self._journal.forgotten(version.events)
        if gone:
            raise refused(f"the adapter learned from what was forgotten: {', '.join(gone[:5])}")
        if version.parent is None:
            return
        with suppress(NotFound):
            if self._journal.version(version.parent).forgotten:
                raise refused(f"its parent {version.parent} learned from what was forgotten")

    def _promote(self, journal: Journal, id: str, share: float, force: bool, at: float) -> None:
        self._promotable(journal, id, share, force)
        journal.promote(id, share, at)

    def _promotable(self, journal: Journal, id: str, share: float, force: bool) -> Version:
        version = journal.version(id)
        if version.state != "serving":
            self._check_promotion(version, share, force)
        return version

    def _check_promotion(self, version: Version, share: float, force: bool) -> None:
        if not 0 <= share < 1:
            raise InvalidRequest("the share of a shadow is at least 0 and below 1", "shadow_share")
        if share and version.scope != COMMON:
            raise InvalidRequest("only a version for everybody can be tried on a share", "shadow_share")
        if version.forgotten:
            raise InvalidRequest(f"{version.id} learned from what was forgotten: train it anew", "version")
        if not force and version.state == "retired":
            raise InvalidRequest(f"{version.id} was retired ({version.reason}): promote it with force")
        if not force and version.verdict is None:
            raise refused(f"no gate has judged {version.id}: judge it, or promote it with force")
        wrong = manifests.misfit(self._base, version.base_model, version.base_model_hash)
        wrong = wrong or manifests.changed(version)
        if wrong:
            raise refused(f"{version.id} cannot serve: {wrong}")

    async def _note_soon(self) -> None:
        await asyncio.sleep(NOTE_S)
        await self._write_notes()

    async def _write_notes(self) -> None:
        notes, self._notes = self._notes, []
        if notes:
            await self._work(lambda: self._journal.note(notes, self._settings.adapters.answers))
