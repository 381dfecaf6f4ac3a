"""The store against a dict, step by step; the index is compared with the passages after each step."""

import hashlib
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.memory import database, files, fulltext, migrations, stores
from actors.memory.documents import DocumentStore
from actors.memory.vectors import Matrices
from actors.messages import ChunkText, NotFound, ParsedDocument

USERS = st.sampled_from(["ann", "bob"])
NAMES = st.sampled_from(["a.md", "b.md", "docs/c.md"])
LINES = st.lists(st.sampled_from(["harbour dawn", "tower", "zebra finch", "tower zebra"]), max_size=4)
WORDS = ["harbour", "tower", "zebra"]


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.connection = database.connect(self.directory)
        migrations.migrate(self.connection)
        self.matrices = Matrices(1 << 20)
        self.model: dict[tuple[str, str], list[str]] = {}
        self.events: list[tuple[str, str, str, list[str]]] = []
        self.ids: dict[tuple[str, str], str] = {}
        self.stores: dict[str, tuple[str, set[str]]] = {}

    @rule(user=USERS, name=NAMES, lines=LINES)
    def put(self, user: str, name: str, lines: list[str]) -> None:
        event = f"e{len(self.events)}"
        info = self._add(user, event, name, lines)
        assert self.ids.setdefault((user, name), info.id) == info.id
        self.model[user, name] = lines
        self.events.append((event, user, name, lines))

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        if self.events:
            event, user, name, lines = data.draw(st.sampled_from(self.events))
            with suppress(NotFound):
                self._add(user, event, name, lines)

    @rule(user=USERS, name=NAMES)
    def delete(self, user: str, name: str) -> None:
        known = self.ids.pop((user, name), None)
        if known is None:
            return
        with database.transaction(self.connection):
            files.delete(self.connection, user, known)
        del self.model[user, name]
        for _, held in self.stores.values():
            held.discard(known)

    @rule(user=USERS, data=st.data())
    def make_store(self, user: str, data: st.DataObject) -> None:
        mine = sorted(file_id for (owner, _), file_id in self.ids.items() if owner == user)
        chosen = data.draw(st.lists(st.sampled_from(mine), unique=True) if mine else st.just([]))
        with database.transaction(self.connection):
            info = stores.create(self.connection, user, f"s{len(self.stores)}", "s", chosen, {})
        self.stores[info.id] = (user, set(chosen))

    @invariant()
    def documents_are_those_of_the_model(self) -> None:
        for user in ("ann", "bob"):
            found = {
                info.filename: files.body(self.connection, user, info.id, "text")
                for info in files.listed(self.connection, user, 99, None, "asc", None)
            }
            assert found == {n: "\n".join(lines) for (u, n), lines in self.model.items() if u == user}

    @invariant()
    def searches_see_what_the_model_says(self) -> None:
        scopes: list[tuple[str, str | None]] = [("ann", None), ("bob", None)]
        scopes += [(user, store) for store, (user, _) in self.stores.items()]
        with database.transaction(self.connection, "DEFERRED"):
            for user, store_id in scopes:
                self._check_scope(user, store_id)

    @invariant()
    def index_equals_truth(self) -> None:
        for row in self.connection.execute("SELECT id FROM users").fetchall():
            if fulltext.exists(self.connection, row["id"]):
                assert fulltext.check(self.connection, row["id"])
        (orphans,) = self.connection.execute(
            "SELECT (SELECT count(*) FROM chunks) - (SELECT count(*) FROM vectors)"
        ).fetchone()
        assert orphans == 0

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            shutil.rmtree(self.directory)

    def _check_scope(self, user: str, store_id: str | None) -> None:
        reader = DocumentStore(self.connection, self.matrices)
        scope = None if store_id is None else [store_id]
        lines = [
            line
            for (owner, name), texts in self.model.items()
            if owner == user and (store_id is None or self.ids[owner, name] in self.stores[store_id][1])
            for line in texts
        ]
        assert reader.chunk_count(user, scope) == len(lines)
        frequencies = reader.frequencies(user, WORDS, scope)
        assert frequencies == {word: sum(word in line.split() for line in lines) for word in WORDS}
        near = reader.nearest(user, np.ones(4, np.float32) / 2, scope, 99)
        assert sorted(row.text for row in reader.chunks(user, [chunk for chunk, _ in near])) == sorted(lines)
        hits = [hit.chunk_id for hit in reader.lexical(user, ["tower"], scope, 99) if hit.text]
        assert len(hits) == frequencies["tower"]

    def _add(self, user: str, event: str, name: str, lines: list[str]) -> Any:
        text = "\n".join(lines)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        document = ParsedDocument(
            filename=name, media_type="text/plain", text=text, content=text.encode(), sha256=sha256
        )
        chunks = [ChunkText(0, len(line), line) for line in lines]
        vectors = np.random.default_rng(len(text)).standard_normal((len(lines), 4)).astype(np.float32)
        with database.transaction(self.connection):
            return files.add(self.connection, user, event, document, "assistants", chunks, vectors)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
