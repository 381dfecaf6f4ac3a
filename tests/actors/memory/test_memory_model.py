"""The store against a model of it that fits on a page: dicts, and one rule for what holds."""

import asyncio
import itertools
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.identity import Identity
from actors.keeper import Keeper
from actors.memory import memory_index
from actors.memory.records import Forgetting, Memory, NewMemory
from actors.memory.users import user_number
from actors.messages import NotFound
from configs.schema import DocumentSettings

T = TypeVar("T")
TOWNS = ("Porto", "Faro", "Braga", "Lisbon")
USERS = st.sampled_from(("ann", "bob"))
SESSIONS = st.sampled_from(("", "s"))
TEXTS = st.one_of(
    st.sampled_from(TOWNS).map("I live in {}.".format),
    st.sampled_from(("Harbour lights", "a zebra", "a zebra sleeps", "Quiet")),
)
NEW = st.tuples(TEXTS, st.sampled_from(("turn", "note")), st.integers(0, 40), st.sampled_from((None, 3, 30)))


class Clock(Identity):
    """Random ids, and a time that the machine moves."""

    moment = 1e6

    def now(self) -> float:
        return self.moment

    def tick(self, seconds: float) -> None:
        object.__setattr__(self, "moment", self.moment + seconds)


@dataclass
class Stated:
    """A town was named at a time, until an edit took it away."""

    town: str
    at: float
    until: float | None = None


@dataclass
class Row:
    id: str
    text: str
    kind: str
    session: str
    said_at: float
    expires_at: float | None
    archived: bool = False
    texts: list[str] = field(default_factory=list)
    stated: list[Stated] = field(default_factory=list)

    def state(self, at: float) -> None:
        self.stated += [Stated(town, at) for town in TOWNS if town in self.text]


@dataclass
class Model:
    """One user's rows in order, and the ids that were forgotten."""

    rows: dict[str, Row] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def remember(self, memory_id: str, new: NewMemory, session: str) -> bool:
        """Whether it is new."""
        assert new.said_at is not None
        held = [row for row in self.rows.values() if (row.kind, row.session) == ("note", session)]
        for row in held:
            if new.kind == "note" and row.text == new.text and not row.archived:
                row.state(new.said_at)
                open_ended = row.expires_at is None or new.expires_at is None
                row.expires_at = None if open_ended else max(row.expires_at or 0, new.expires_at or 0)
                return False
        row = Row(memory_id, new.text, new.kind, session, new.said_at, new.expires_at)
        row.state(new.said_at)
        self.rows[memory_id] = row
        return True

    def edit(self, memory_id: str, text: str, now: float) -> None:
        row = self.rows[memory_id]
        if row.text == text:
            return
        said = [one for one in row.stated if one.until is None]
        row.texts.append(row.text)
        row.text = text
        if said and all(self.ended(one) for one in said):
            row.stated = [one for one in row.stated if one.until is not None]
            row.state(row.said_at)
            return
        for one in said:
            one.until = now
        row.state(now)

    def ended(self, one: Stated, by: float = 1e99) -> bool:
        others = (other for row in self.rows.values() for other in row.stated)
        return any(one.at < other.at <= by and other.town != one.town for other in others)

    def towns(self, at: float = 1e99) -> set[str]:
        """Where the user lives: what was stated last, unless it was edited away."""
        stated = [one for row in self.rows.values() for one in row.stated if one.at <= at]
        return {
            one.town for one in stated if (one.until is None or one.until > at) and not self.ended(one, at)
        }

    def drop(self, ids: set[str]) -> None:
        self.gone |= ids
        self.rows = {memory_id: row for memory_id, row in self.rows.items() if memory_id not in ids}


class Machine(RuleBasedStateMachine):
    """What the keeper answers is what the model says, after every step."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.keeper = self.opened("keeper")
        self.users = {"ann": Model(), "bob": Model()}
        self.calls: list[tuple[str, str, list[NewMemory], str, list[str]]] = []
        self.count = itertools.count(1)

    def teardown(self) -> None:
        for user in self.users:
            self.run(self.keeper._open.write(_consistent, user))
        self.run(self.keeper.close())
        self.loop.close()
        self.directory.cleanup()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def opened(self, name: str) -> Keeper:
        keeper = Keeper(Path(self.directory.name, name), DocumentSettings(vector_cache=False), self.clock)
        self.run(keeper.start())
        return keeper

    def pick(self, user: str, at: int) -> str | None:
        ids = list(self.users[user].rows)
        return ids[at % len(ids)] if ids else None

    @rule(user=USERS, session=SESSIONS, batch=st.lists(NEW, min_size=1, max_size=3))
    def remember(self, user: str, session: str, batch: list[tuple[str, Any, int, int | None]]) -> None:
        self.tick(1)
        now = self.clock.now()
        new = [
            NewMemory(
                text=text,
                kind=kind,
                said_at=now - before - 0.001 * next(self.count),
                expires_at=None if ttl is None else now + ttl,
            )
            for text, kind, before, ttl in batch
        ]
        event = f"event-{next(self.count)}"
        written = self.run(self.keeper.remember(user, event, new, session=session))
        for one, memory in zip(written, new, strict=True):
            fresh = self.users[user].remember(one.id, memory, session)
            assert one.event == ("ADD" if fresh else "NONE")
        self.calls.append((user, event, new, session, [one.id for one in written]))

    @precondition(lambda self: self.calls)
    @rule(at=st.integers(0, 99))
    def retry(self, at: int) -> None:
        user, event, new, session, ids = self.calls[at % len(self.calls)]
        written = self.run(self.keeper.remember(user, event, new, session=session))
        assert [one.id for one in written] == ids
        assert all((one.text == "") == (one.id in self.users[user].gone) for one in written)

    @rule(user=USERS, at=st.integers(0, 99), text=TEXTS)
    def edit(self, user: str, at: int, text: str) -> None:
        self.tick(1)
        memory_id = self.pick(user, at)
        if memory_id is not None:
            event = f"event-{next(self.count)}"
            for _ in range(2):
                self.run(self.keeper.update_memory(user, event, memory_id, text=text))
            self.users[user].edit(memory_id, text, self.clock.now())

    @rule(user=USERS, at=st.integers(0, 99), archived=st.booleans())
    def archive(self, user: str, at: int, archived: bool) -> None:
        memory_id = self.pick(user, at)
        if memory_id is not None:
            event = f"event-{next(self.count)}"
            self.run(self.keeper.update_memory(user, event, memory_id, archived=archived))
            self.users[user].rows[memory_id].archived = archived

    @rule(user=USERS, at=st.integers(0, 99), how=st.sampled_from(("id", "session", "words")))
    def forget(self, user: str, at: int, how: str) -> None:
        model, memory_id = self.users[user], self.pick(user, at)
        if memory_id is None:
            return
        if how == "id":
            what, doomed = Forgetting(ids=(memory_id,)), {memory_id}
        elif how == "session":
            session = model.rows[memory_id].session
            what = Forgetting(session=session)
            doomed = {row.id for row in model.rows.values() if row.session == session}
        else:
            what = Forgetting(matching="a ZEBRA")
            doomed = {row.id for row in model.rows.values() if _holds((row.text, *row.texts), "a zebra")}
        event = f"event-{next(self.count)}"
        told = self.run(self.keeper.forget(user, event, what, dry_run=True))
        done = self.run(self.keeper.forget(user, event, what))
        assert set(done.memory_ids) == set(told.memory_ids) == doomed
        assert self.run(self.keeper.forget(user, event, what)) == done
        model.drop(doomed)

    @rule(seconds=st.sampled_from((0.5, 2, 29)))
    def tick(self, seconds: float) -> None:
        self.clock.tick(seconds)
        for model in self.users.values():
            ended = {
                row.id
                for row in model.rows.values()
                if row.expires_at is not None and row.expires_at <= self.clock.now()
            }
            model.drop(ended)

    @rule()
    def restart(self) -> None:
        self.run(self.keeper.close())
        self.run(self.keeper.start())

    @rule(user=USERS)
    def move(self, user: str) -> None:
        other = self.opened(f"other-{next(self.count)}")
        records = self.run(self.keeper.export_memories(user))
        for event in ("import", "import", "again"):
            self.run(other.import_memories(user, event, records))
        for call in ("list_memories", "facts", "memory_stats"):
            theirs, ours = self.run(getattr(other, call)(user)), self.run(getattr(self.keeper, call)(user))
            assert theirs == (replace(ours, forgotten=0) if call == "memory_stats" else ours)
        assert self.run(other.facts(user, history=True)) == self.run(self.keeper.facts(user, history=True))
        for memory_id in self.users[user].rows:
            history = self.run(other.memory_history(user, memory_id))
            assert history == self.run(self.keeper.memory_history(user, memory_id))
        self.run(other.close())

    @invariant()
    def the_same(self) -> None:
        for user, model in self.users.items():
            self.run(self.check(user, model))

    async def check(self, user: str, model: Model) -> None:
        keeper, now = self.keeper, self.clock.now()
        listed = (await keeper.list_memories(user)).memories
        assert [(one.id, one.text) for one in listed[::-1]] == [(r.id, r.text) for r in model.rows.values()]
        for session in ("", "s"):
            turns = [r.id for r in model.rows.values() if (r.kind, r.session) == ("turn", session)]
            assert [one.id for one in await keeper.recent_turns(user, session)] == turns
        for at in (now - 20, now - 1, None):
            facts = await keeper.facts(user, slot="home", as_of=at)
            assert {fact.value for fact in facts} == (model.towns() if at is None else model.towns(at))
        for one in listed:
            assert await self.holds(one) == (one.valid_to is None)
            assert (await keeper.memory_history(user, one.id))[0].event == "ADD"
        stats = await keeper.memory_stats(user)
        assert (stats.memories, stats.forgotten) == (len(model.rows), len(model.gone))
        assert {tomb.memory_id for tomb in await keeper.tombstones(user)} == model.gone
        found = await keeper.search_memories(user, "zebra lives in Porto", limit=50, archived=True)
        assert {one.memory.id for one in found} <= set(model.rows)
        for memory_id in list(model.gone)[:2]:
            with pytest.raises(NotFound):
                await keeper.get_memory(user, memory_id)

    async def holds(self, memory: Memory) -> bool:
        model = next(model for model in self.users.values() if memory.id in model.rows)
        stated = [one for one in model.rows[memory.id].stated if one.until is None]
        return not stated or any(not model.ended(one) for one in stated)


def _holds(texts: tuple[str, ...], words: str) -> bool:
    return any(set(words.split()) <= set(text.casefold().split()) for text in texts)


def _consistent(connection: Any, user: str) -> None:
    assert memory_index.check(connection, user_number(connection, user))


TestStore = Machine.TestCase
TestStore.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
