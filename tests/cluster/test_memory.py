import json
import os
import pty
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from actors.memory.ranker import load
from cluster.__main__ import app
from cluster.memories import owner, sent
from configs.schema import Settings

pal = CliRunner()
MEMORY = {
    "id": "mem_1",
    "memory": "I live in Porto now.\nIt rains.",
    "user_id": "ann",
    "name": None,
    "role": "user",
    "run_id": "s1",
    "valid_from": "2026-05-01T12:00:00+00:00",
    "valid_to": None,
    "sources": ["mem_0"],
    "metadata": {},
}
FACT = {
    "subject": "user",
    "slot": "home",
    "value": "Porto",
    "memory_id": "mem_1",
    "valid_from": "2026-05-01T12:00:00+00:00",
    "valid_to": None,
}
CHANGE = {
    "memory_id": "mem_1",
    "event": "ADD",
    "old_memory": None,
    "new_memory": "I live in Porto now.",
    "created_at": "2026-05-01T12:00:00+00:00",
}
WOULD = {"memory_ids": ["mem_1"], "events": ["e"], "texts": ["I live in Porto now."], "dry_run": True}
GONE = {**WOULD, "texts": [], "dry_run": False}


@pytest.fixture(autouse=True)
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def server(fake: Any) -> Any:
    fake.on("POST", "/v1/memories", {"results": [{"id": "mem_1", "memory": "x", "event": "ADD"}]})
    fake.on("POST", "/v1/memories/search", {"results": [{**MEMORY, "score": 0.5, "why": "says Porto"}]})
    fake.on("GET", "/v1/memories", {"results": [MEMORY], "count": 41})
    fake.on("GET", "/v1/memories/mem_1", MEMORY)
    fake.on("PUT", "/v1/memories/mem_1", {**MEMORY, "pinned": True})
    fake.on("GET", "/v1/memories/facts", {"results": [FACT, {**FACT, "memory_id": "mem_9"}]})
    fake.on("GET", "/v1/memories/mem_1/history", json.dumps([CHANGE]).encode())
    fake.on("GET", "/v1/memories/stats", {"memories": 2, "by_kind": {"turn": 2}, "bytes": 9})
    fake.on("POST", "/v1/memories/consolidate", {"merged": ["a"], "archived": []})
    fake.routes["POST", "/v1/memories/forget"] = lambda body: (
        200,
        WOULD if body.get("dry_run") else GONE,
    )
    return fake


def run(server: Any, *arguments: str) -> Any:
    return pal.invoke(app, ["memory", *arguments, "--url", server.url])


@pytest.mark.parametrize(
    ("keys", "user", "api_key", "meant"),
    [
        ((), None, None, "default"),
        ((), "bob", None, "bob"),
        (("ann:k1", "bob:k2"), None, None, "ann"),
        (("ann:k1", "bob:k2"), None, "k2", "bob"),
        (("ann:k1", "bob:k2"), None, "other", "default"),
        (("bare", "ann:k1"), None, None, "default"),
    ],
)
def test_whose_memories_are_meant(
    keys: tuple[str, ...], user: str | None, api_key: str | None, meant: str
) -> None:
    assert owner(Settings(api_keys=keys), user, api_key) == meant


def test_a_moment_without_an_offset_is_meant_here() -> None:
    assert sent("2026-05-01T12:00") == "2026-05-01T12:00:00+09:00"
    assert sent("2026-05-01T12:00Z") == "2026-05-01T12:00Z"
    assert sent("1700000000") == "1700000000"
    assert sent(None) is None


def test_add_sends_what_was_given_and_no_more(server: Any) -> None:
    result = run(server, "add", "I live in Porto", "--session", "s1", "--when", "2026-05-01", "--pin")
    assert (result.exit_code, result.stdout) == (0, "added mem_1\n")
    assert server.bodies("/v1/memories") == [
        {
            "text": "I live in Porto",
            "user_id": "default",
            "run_id": "s1",
            "timestamp": "2026-05-01T00:00:00+09:00",
            "pinned": True,
        }
    ]


def test_search_prints_whole_texts_or_json_lines(server: Any) -> None:
    shown = run(server, "search", "where", "--user", "ann", "--as-of", "2026-06-01").stdout
    assert "mem_1" in shown
    assert "2026-05-01 21:00, score 0.500  says Porto" in shown
    assert "  It rains." in shown
    (line,) = run(server, "search", "where", "--json").stdout.splitlines()
    assert json.loads(line)["memory"] == MEMORY["memory"]
    assert server.bodies("/v1/memories/search")[0] == {
        "query": "where",
        "user_id": "ann",
        "limit": 5,
        "as_of": "2026-06-01T00:00:00+09:00",
    }


def test_list_says_which_page_of_how_many(server: Any) -> None:
    result = run(server, "list", "--page", "2", "-n", "20")
    assert "I live in Porto now. It rains." in result.stdout
    assert "page 2 of 3, 41 memories" in result.stderr
    assert server.queries[-1] == {"user_id": ["default"], "page": ["2"], "page_size": ["20"]}


def test_show_has_the_facts_of_that_memory_and_its_history(server: Any) -> None:
    shown = run(server, "show", "mem_1").stdout
    assert shown.startswith(MEMORY["memory"])
    assert "made from mem_0" in shown
    whole = json.loads(run(server, "show", "mem_1", "--json").stdout)
    assert whole["facts"] == [FACT]
    assert whole["history"] == [CHANGE]


def test_facts_history_stats_pin_and_consolidate(server: Any) -> None:
    assert "Porto" in run(server, "facts", "--subject", "user", "--history").stdout
    assert server.queries[-1] == {"user_id": ["default"], "subject": ["user"], "history": ["true"]}
    assert "ADD" in run(server, "history", "mem_1").stdout
    assert "2 turns" in run(server, "stats").stdout
    assert run(server, "pin", "mem_1").stdout == "pinned mem_1\n"
    assert run(server, "pin", "mem_1", "--undo").stdout == "unpinned mem_1\n"
    assert server.bodies("/v1/memories/mem_1") == [{"pinned": True}, {"pinned": False}]
    assert run(server, "consolidate").stdout == "1 merged, 0 archived\n"


def test_a_dry_run_shows_what_would_go_and_deletes_nothing(server: Any) -> None:
    result = run(server, "forget", "--user", "ann", "--matching", "Porto", "--dry-run")
    assert result.stdout == "would forget 1 memory\n  I live in Porto now.\n"
    assert server.bodies("/v1/memories/forget") == [{"user_id": "ann", "matching": "Porto", "dry_run": True}]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (["--user", "ann"], {"user_id": "ann", "everything": True}),
        (["--all"], {"user_id": "default", "everything": True}),
        (["--id", "mem_1", "--id", "mem_2"], {"user_id": "default", "ids": ["mem_1", "mem_2"]}),
        (
            ["--session", "s", "--before", "2026-01-01"],
            {"run_id": "s", "before": "2026-01-01T00:00:00+09:00"},
        ),
    ],
)
def test_yes_forgets_at_once(server: Any, arguments: list[str], sent: Any) -> None:
    result = run(server, "forget", *arguments, "--yes")
    assert (result.exit_code, result.stdout) == (0, "forgot 1 memory\n")
    (body,) = server.bodies("/v1/memories/forget")
    assert body == {"user_id": "default", **sent}
    assert json.loads(run(server, "forget", *arguments, "--yes", "--json").stdout) == GONE


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--yes"],
        ["--all"],
        ["--all", "--json"],
        ["--all", "--session", "s", "--yes"],
        ["--all", "--yes", "--dry-run"],
    ],
)
def test_nothing_is_forgotten_unasked(server: Any, arguments: list[str]) -> None:
    result = run(server, "forget", *arguments)
    assert result.exit_code == 2
    assert all(body["dry_run"] for body in server.bodies("/v1/memories/forget"))


@pytest.mark.parametrize(("answer", "forgets"), [(b"y\n", True), (b"n\n", False)])
def test_at_a_terminal_it_asks(
    server: Any, monkeypatch: pytest.MonkeyPatch, answer: bytes, forgets: bool
) -> None:
    master, slave = pty.openpty()
    os.write(master, answer)
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr("cluster.commands.memory_upkeep.sys.stdin", terminal)
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: terminal.readline().strip())
        result = app_at_terminal(server)
    os.close(master)
    assert (result == 0) == forgets
    assert [body.get("dry_run", False) for body in server.bodies("/v1/memories/forget")] == [True] + [
        False
    ] * forgets


def app_at_terminal(server: Any) -> int:
    try:
        app(["memory", "forget", "--all", "--url", server.url], standalone_mode=True)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_export_writes_a_file_that_only_its_owner_reads(server: Any, tmp_path: Path) -> None:
    lines = '{"row": 1, "text": "a\u2028b"}\n{"row": 2}\n'
    server.on("GET", "/v1/memories/export", lines.encode())
    file = tmp_path / "out.jsonl"
    result = run(server, "export", str(file), "--user", "ann")
    assert result.stdout == f"exported 2 memories to {file}\n"
    assert file.read_bytes() == lines.encode()
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(server, "export", "-").stdout == lines
    assert json.loads(run(server, "export", str(file), "--json").stdout)["memories"] == 2


def test_an_export_that_fails_leaves_no_file(server: Any, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    assert run(server, "export", str(file)).exit_code == 1
    assert list(tmp_path.iterdir()) == []
    assert run(server, "export", str(tmp_path / "no" / "out.jsonl")).exit_code == 1


def test_import_sends_batches_and_tells_new_from_present(server: Any, tmp_path: Path) -> None:
    def store(body: bytes) -> tuple[int, Any]:
        events = ["NONE" if b'"row": 1}' in line else "ADD" for line in body.split(b"\n")]
        return 200, {"results": [{"id": "m", "memory": "", "event": event} for event in events]}

    server.routes["POST", "/v1/memories/import"] = store
    file = tmp_path / "in.jsonl"
    file.write_text("".join(f'{{"row": {row}}}\n' for row in range(450)))
    result = run(server, "import", str(file), "--user", "ann")
    assert result.stdout == "added 449 memories; 1 were there\n"
    sent = server.bodies("/v1/memories/import")
    assert [body.count(b"\n") + 1 for body in sent] == [200, 200, 50]
    assert server.queries[-1] == {"user_id": ["ann"]}
    assert run(server, "import", str(tmp_path / "none.jsonl")).exit_code == 1


def test_rebalance_says_what_the_setting_must_be(tmp_path: Path) -> None:
    environ = {"PAL_HOME": str(tmp_path), "PAL_MEMORY__PARTITIONS": "2"}
    result = pal.invoke(app, ["memory", "rebalance", "--partitions", "3"], env=environ)
    assert result.stdout == "moved 0 of 0 users; there are 3 partitions now\n"
    assert "memory.partitions to 3" in result.stderr
    result = pal.invoke(app, ["memory", "rebalance", "--json"], env=environ)
    assert json.loads(result.stdout) == {"partitions": 2, "moved": 0, "users": 0}


def test_train_ranker_tells_how_well_unseen_questions_are_answered(tmp_path: Path) -> None:
    file, out = tmp_path / "talks.jsonl", tmp_path / "ranker.json"
    file.write_text("\n".join(map(json.dumps, talks(6))))
    result = pal.invoke(
        app, ["memory", "train-ranker", str(file), "--out", str(out), "--no-vectors"], catch_exceptions=False
    )
    assert "learned" in result.stdout
    assert f"from 24 questions: {out}" in result.stdout
    assert f"memory.ranker={out}" in result.stderr
    assert load(out).first


def test_train_ranker_refuses_too_few_questions(tmp_path: Path) -> None:
    file = tmp_path / "talks.jsonl"
    file.write_text("\n".join(map(json.dumps, talks(2))))
    result = pal.invoke(app, ["memory", "train-ranker", str(file), "--no-vectors"])
    assert result.exit_code == 1
    assert "8 questions" in result.stderr
    assert pal.invoke(app, ["memory", "train-ranker", str(tmp_path / "none")]).exit_code == 2


def talks(count: int) -> Iterator[Any]:
    """Conversations of ten turns and four questions."""
    things = ["chess", "tennis", "violin", "pottery", "rowing", "judo", "skiing", "choir", "golf", "poetry"]
    for number in range(count):
        turns = [
            {
                "id": f"t{place}",
                "session": place // 5,
                "speaker": "Ann" if place % 2 else "Bob",
                "text": f"I took up {thing} in town {number}.",
                "said_at": 1_700_000_000 + place,
            }
            for place, thing in enumerate(things)
        ]
        questions = [
            {"question": f"Who took up {things[place]}?", "evidence": [f"t{place}"]} for place in (1, 4, 6, 9)
        ]
        yield {"turns": turns, "questions": questions}
