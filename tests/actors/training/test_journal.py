"""States of versions against a model of ten lines."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from actors.messages import InvalidRequest
from actors.training.journal import Journal
from actors.training.versions import Verdict, Version

SCOPES = st.sampled_from(["", "ann"])
EVENTS = st.sets(st.sampled_from(["e-1", "e-2", "e-3", "e-4", "e-5"]), max_size=2)


def version(number: int, scope: str, events: set[str]) -> Version:
    return Version(
        id=f"v-{number}",
        scope=scope,
        base_model="m",
        base_model_hash="",
        parent=None,
        created_at=0.0,
        method="made",
        events=tuple(sorted(events)),
        files={},
        path="",
    )


class Versions(RuleBasedStateMachine):
    """`before` are those of a scope that served well and may serve again, the last one last."""

    ids: Bundle[str] = Bundle("ids")

    @initialize(target=ids)
    def begin(self) -> Any:
        self.folder = tempfile.TemporaryDirectory(prefix="journal-")
        self.journal = Journal(Path(self.folder.name))
        self.state: dict[str, str] = {}
        self.known: dict[str, Version] = {}
        self.before: dict[str, list[str]] = {"": [], "ann": []}
        return multiple(*[self.add(scope, {f"e-{n}"}) for n, scope in enumerate(["", "", "", "ann", "ann"])])

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            self.folder.cleanup()

    def standing(self, scope: str, state: str) -> str | None:
        found = [id for id, one in self.state.items() if one == state and self.known[id].scope == scope]
        return found[0] if found else None

    def leave(self, id: str, state: str = "retired") -> None:
        """What served before comes back where this one served."""
        served, self.state[id] = self.state[id] == "serving", state
        before = self.before[self.known[id].scope]
        if served and before:
            self.state[before.pop()] = "serving"

    @rule(target=ids, scope=SCOPES, events=EVENTS)
    def add_one(self, scope: str, events: set[str]) -> str:
        return self.add(scope, events)

    def add(self, scope: str, events: set[str]) -> str:
        made = version(len(self.known), scope, events)
        self.journal.add(made, 0.0)
        self.journal.add(made, 0.0)
        self.known[made.id], self.state[made.id] = made, "candidate"
        return made.id

    @rule(id=ids, accepted=st.booleans())
    def judge(self, id: str, accepted: bool) -> None:
        verdict = Verdict(accepted=accepted, slices=(), reasons=("no",), judged_at=0.0)
        same = self.journal.version(id).verdict == verdict
        legal = same or self.state[id] in ("candidate", "shadow")
        try:
            self.journal.judge(id, verdict, 0.0)
        except InvalidRequest:
            assert not legal
        else:
            assert legal
            if not accepted:
                self.state[id] = "refused"

    @rule(id=ids, share=st.sampled_from([0.0, 0.5]))
    def promote(self, id: str, share: float) -> None:
        scope, to = self.known[id].scope, "shadow" if share else "serving"
        held = self.journal.version(id).forgotten
        legal = self.state[id] in ("candidate", "shadow", "retired", to) and not held
        if held:
            return
        try:
            self.journal.promote(id, share, 0.0)
        except InvalidRequest:
            assert not legal
            return
        assert legal
        before = self.standing(scope, to)
        if before not in (None, id):
            self.state[str(before)] = "retired"
            if to == "serving":
                self.before[scope].append(str(before))
        self.state[id] = to
        if id in self.before[scope]:
            self.before[scope].remove(id)

    @rule(id=ids)
    def retire(self, id: str) -> None:
        if self.state[id] == "refused":
            return
        self.journal.leave(id, "", lambda _: True, 0.0)
        if self.state[id] != "retired":
            self.leave(id)

    @rule(scope=SCOPES)
    def rollback(self, scope: str) -> None:
        self.journal.rollback(scope, None, "", lambda _: True, 0.0)
        serving = self.standing(scope, "serving")
        if serving:
            self.leave(serving)

    @rule(events=EVENTS)
    def forget(self, events: set[str]) -> None:
        gone = [id for id, one in self.known.items() if events & set(one.events)]
        assert sorted(self.journal.forget(sorted(events), lambda _: True, 0.0)) == sorted(gone)
        for id in gone:
            if id in self.before[self.known[id].scope]:
                self.before[self.known[id].scope].remove(id)
        for id in gone:
            if self.state[id] in ("candidate", "shadow", "serving"):
                self.leave(id)

    @rule()
    def crash(self) -> None:
        self.journal.close()
        self.journal = Journal(Path(self.folder.name))

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "journal"):
            return
        found = {one.id: one.state for one in self.journal.versions()}
        assert found == self.state
        standing = self.journal.standing(lambda _: True)
        assert (standing.common.id if standing.common else None) == self.standing("", "serving")
        forgotten = [one for one in self.journal.versions() if one.forgotten]
        assert all(one.state in ("retired", "refused") for one in forgotten)


TestVersions = Versions.TestCase
TestVersions.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
