"""One turn of the loop: what was told becomes an adapter, a gate judges it, it serves or it does not.

Each step leaves its trace before the next begins, so that a turn that was killed goes on where it was.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from actors.keeper import Keeper
from actors.messages import InvalidRequest, Json
from actors.rounds import Loop, Tools
from actors.training.journal import verdict_of
from actors.training.launch import Ended
from actors.training.rounds import CANDIDATE, LESSONS, LOG, ORDER, RECORDS, VERDICT, Round
from actors.training.unlearning import tell
from actors.training.versions import COMMON, Verdict, Version, unquoted

PAGE = 500
"""Records read from the keeper in one call."""
POLL_S = 0.5
FORGOTTEN = "something that it was to learn was forgotten meanwhile"
ROOT = Path(__file__).resolve().parents[1]


async def turn(tools: Tools, scope: str) -> Round | None:
    """Learn what is new for one user, or for all (`scope` empty); None where there is too little.

    Raises PalError where keepers, lineage or launcher do; the next turn takes the round up again.
    """
    await tell(tools.keeper, tools.lineage)
    round = _begun(tools, scope) or await _gather(tools, scope)
    if round is None:
        return None
    if round.phase == "gathered":
        round = await _study(tools, round)
    if round.phase == "studied":
        round = await _admit(tools, round)
    if round.phase == "admitted":
        round = await _promote(tools, round)
    return round


async def scopes(tools: Tools) -> list[str]:
    """Whom there may be something to learn for: all together first, then each who agreed, then gaps."""
    learners = await tools.keeper.learners()
    left = [version.scope for version in await tools.lineage.to_retrain()]
    return list(dict.fromkeys((COMMON, *learners, *left)))


LOOP = Loop(turn, scopes)


def _begun(tools: Tools, scope: str) -> Round | None:
    return next((round for round in tools.book.unfinished() if round.scope == scope), None)


async def _gather(tools: Tools, scope: str) -> Round | None:
    """Write down all that may be learned for a scope, unless a version that stands has learned it."""
    standing = await tools.lineage.standing()
    served = standing.common if scope == COMMON else standing.personal.get(scope)
    trained = frozenset(served.events if served else ())
    users = await tools.keeper.learners() if scope == COMMON else [scope]
    records = [record for user in users async for record in _records(tools.keeper, user, scope)]
    allowed = [record for record in records if record["refused"] is None]
    events = tuple(dict.fromkeys(event for record in allowed for event in record["events"]))
    fresh = sum(not trained.issuperset(record["events"]) for record in allowed)
    gap = any(version.scope == scope for version in await tools.lineage.to_retrain())
    if not allowed or (fresh < tools.settings.loop.least_fresh and not gap):
        return None
    now = tools.identity.now()
    id = tools.identity.stored("round-", len(tools.book.rounds()))
    order = {
        "scope": scope,
        "model": tools.settings.engine.model,
        "replaced": served.path if served else None,
        "trained": sorted(trained),
        "users": await tools.keeper.memory_users() if scope == COMMON else [scope],
        "forgotten": await tools.lineage.forgotten(events),
        "learning": _path(tools.settings.loop.learning),
        "gate": _path(tools.settings.loop.gate),
    }
    tools.book.put(id, ORDER, json.dumps(order).encode())
    tools.book.put(id, RECORDS, b"".join(json.dumps(record).encode() + b"\n" for record in records))
    parent = served.id if served else None
    return tools.book.write(Round(id=id, scope=scope, created_at=now, parent=parent, events=events))


async def _study(tools: Tools, round: Round) -> Round:
    """Have a process of its own teach, measure and judge; it is found again after a death of ours."""
    while (lessons := tools.book.load(round.id, LESSONS)) is None:
        if round.process is None:
            if round.launches > tools.settings.loop.resumes:
                return _end(tools, round, f"the process that studies died {round.launches} times")
            round = await _launch(tools, round)
        ended = await _watched(tools, round)
        if ended is None:
            return _end(tools, round, FORGOTTEN)
        round = tools.book.write(replace(round, process=None))
        if ended.code is not None and ended.code > 0:
            return _end(tools, round, _last_words(tools, round) or f"it ended with code {ended.code}")
    round = replace(
        round,
        process=None,
        counts=lessons["counts"],
        quarantined=lessons["quarantined"],
        figures=lessons["figures"],
        events=tuple(lessons["events"]),
    )
    if lessons["said"]:
        return _end(tools, round, lessons["said"])
    return tools.book.write(replace(round, phase="studied"))


async def _watched(tools: Tools, round: Round) -> Ended | None:
    """How the process that studies ended; it is stopped, None, where what it was given was forgotten."""
    handle = round.process or ""
    while (ended := await asyncio.to_thread(tools.launcher.ended, handle)) is None:
        if await tools.lineage.forgotten(round.events):
            await asyncio.to_thread(tools.launcher.stop, handle)
            return None
        await asyncio.sleep(POLL_S)
    return ended


async def _admit(tools: Tools, round: Round) -> Round:
    """Take the adapter in with its verdict, unless something that it learned from was forgotten meanwhile."""
    await tell(tools.keeper, tools.lineage)
    if await tools.lineage.forgotten(round.events):
        return _end(tools, round, FORGOTTEN)
    try:
        version = await tools.lineage.admit(
            tools.book.folder(round.id) / CANDIDATE,
            scope=round.scope,
            parent=round.parent,
            method="incremental",
            events=round.events,
            scores=round.figures,
        )
    except InvalidRequest as error:
        return _end(tools, round, error.message)
    verdict = verdict_of(tools.book.load(round.id, VERDICT))
    version = await _judged(tools, version, verdict)
    round = replace(round, version=version.id, accepted=verdict.accepted)
    if not verdict.accepted:
        return _end(tools, round, *map(unquoted, verdict.reasons))
    return tools.book.write(replace(round, phase="admitted"))


async def _judged(tools: Tools, version: Version, verdict: Verdict) -> Version:
    if version.verdict is not None and version.verdict.accepted == verdict.accepted:
        return version
    return await tools.lineage.judge(version.id, verdict)


async def _promote(tools: Tools, round: Round) -> Round:
    """Let it serve; a version for everybody is tried on a share of the requests first where that is set."""
    share = tools.settings.loop.shadow_share if round.scope == COMMON else 0.0
    try:
        await tools.lineage.promote(round.version or "", share)
    except InvalidRequest as error:
        return _end(tools, round, error.message)
    return _end(tools, round)


def _end(tools: Tools, round: Round, *reasons: str) -> Round:
    done = tools.book.write(
        replace(round, phase="ended", process=None, reasons=reasons, ended_at=tools.identity.now())
    )
    tools.book.tidy(round.id)
    return done


async def _launch(tools: Tools, round: Round) -> Round:
    folder = tools.book.folder(round.id)
    program = tools.settings.loop.command or (sys.executable, "-m", "cluster", "loop", "study")
    environ = {"PAL_HOME": str(tools.settings.home), "PYTHONPATH": str(ROOT)}
    handle = await asyncio.to_thread(
        tools.launcher.launch, round.id, [*program, str(folder)], folder / LOG, environ
    )
    return tools.book.write(replace(round, process=handle, launches=round.launches + 1))


async def _records(keeper: Keeper, user: str, scope: str) -> AsyncIterator[Json]:
    """All of a user that could be learned from; for all together what he shares alone."""
    after = ""
    while page := await keeper.learnable(user, after=after, limit=PAGE):
        for record in page:
            if scope != COMMON or record.get("shared"):
                yield {**record, "user": user}
        after = page[-1]["cursor"]


def _last_words(tools: Tools, round: Round) -> str:
    """Why the process ended, out of what it printed."""
    path = tools.book.folder(round.id) / LOG
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]


def _path(path: Path | None) -> str | None:
    return str(path.absolute()) if path is not None else None
