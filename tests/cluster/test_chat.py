import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app

pal = CliRunner()
PLACE = {"document_id": "file-1", "filename": "a.md", "start": 3, "end": 8, "quote": "Paris", "score": 0.9}


def chunk(content: str | None, **extra: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}}], **extra}


@pytest.fixture
def server(fake):
    """Says each last message back, in two chunks, and fails on "fail"."""

    def answer(body: Any) -> tuple[int, Any]:
        said = body["messages"][-1]["content"]
        if said == "fail":
            return 400, {"error": {"message": "too long", "code": "context_length_exceeded"}}
        return 200, [chunk(None), chunk("You said "), chunk(said), {"choices": [], "usage": {}}]

    fake.on("GET", "/v1/models", {"data": [{"id": "base"}, {"id": "embedder"}]})
    fake.on("GET", "/v1/vector_stores", {"data": [{"id": "vs_1", "name": "notes"}], "has_more": False})
    fake.routes["POST", "/v1/chat/completions"] = answer
    return fake


def messages(server) -> list[list[str]]:
    return [[m["content"] for m in body["messages"]] for body in server.bodies("/v1/chat/completions")]


def test_piped_lines_are_turns_of_one_conversation(server) -> None:
    result = pal.invoke(app, ["chat", "--url", server.url], input="one\n\ntwo\n")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["You said one", "You said two"]
    assert messages(server) == [["one"], ["one", "You said one", "two"]]
    assert server.bodies("/v1/chat/completions")[0]["model"] == "base"


def test_compression_is_asked_for_and_reported(server) -> None:
    saved = {"tokens_before": 90, "tokens_after": 45, "bypassed": False}
    extra = {"palimpsest": {"compression": saved}}
    server.routes["POST", "/v1/chat/completions"] = lambda _: (200, [chunk("Yes.", **extra)])
    said = pal.invoke(app, ["chat", "--compress", "auto", "--url", server.url], input="hi\n")
    assert "90 → 45" in said.stderr
    assert server.bodies("/v1/chat/completions")[0]["compression"] == {"budget": "auto"}
    as_json = pal.invoke(app, ["chat", "--compress", "0.5", "--json", "--url", server.url], input="hi\n")
    assert json.loads(as_json.stdout)["compression"] == saved


def test_system_model_and_documents_are_passed_on(server) -> None:
    said = ["--system", "Be brief.", "--model", "m", "--temperature", "0.5", "--docs", "notes"]
    pal.invoke(app, ["chat", *said, "--url", server.url], input="hi\n")
    body = server.bodies("/v1/chat/completions")[0]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["model"], body["temperature"]) == ("m", 0.5)
    assert body["documents"] == {"vector_store_ids": ["vs_1"]}


def test_commands_are_carried_out_here(server) -> None:
    result = pal.invoke(
        app, ["chat", "--url", server.url], input="one\n/reset\n/help\n/what\ntwo\n/exit\nthree\n"
    )
    assert messages(server) == [["one"], ["two"]]
    assert "begun anew" in result.stderr
    assert "/what is no command" in result.stderr


def test_a_refused_question_leaves_the_conversation_as_it_was(server) -> None:
    result = pal.invoke(app, ["chat", "--url", server.url], input="fail\none\n")
    assert result.exit_code == 1
    assert "error: too long" in result.stderr
    assert messages(server) == [["fail"], ["one"]]


def test_a_session_is_taken_up_again_until_it_is_reset(server) -> None:
    arguments = ["chat", "--session", "trip", "--url", server.url]
    pal.invoke(app, arguments, input="one\n")
    pal.invoke(app, arguments, input="two\n/reset\n")
    pal.invoke(app, arguments, input="three\n")
    assert messages(server) == [["one"], ["one", "You said one", "two"], ["three"]]
    assert (Path(os.environ["PAL_HOME"]) / "chats" / "trip.jsonl").exists()


def test_a_damaged_session_is_named(server) -> None:
    path = Path(os.environ["PAL_HOME"]) / "chats" / "trip.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"role": "us')
    result = pal.invoke(app, ["chat", "--session", "trip", "--url", server.url], input="one\n")
    assert result.exit_code == 1
    assert f"{path} is damaged" in result.stderr


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden"])
def test_a_session_name_is_no_path(name: str) -> None:
    assert pal.invoke(app, ["chat", "--session", name, "--url", "http://127.0.0.1:1"]).exit_code == 2


def test_citations_follow_the_answer(server) -> None:
    last = {"choices": [], "palimpsest": {"citations": [PLACE]}}
    server.on("POST", "/v1/chat/completions", [chunk("Paris."), last])
    shown = pal.invoke(app, ["chat", "--url", server.url], input="Which city?\n").stdout
    assert shown.splitlines() == ["Paris.", "  [1] a.md, characters 3–8: “Paris”"]
    told = pal.invoke(app, ["chat", "--json", "--url", server.url], input="Which city?\n").stdout
    assert json.loads(told)["citations"] == [PLACE]


def test_the_server_is_told_the_session_until_it_is_reset(server) -> None:
    arguments = ["chat", "--session", "trip", "--url", server.url]
    pal.invoke(app, arguments, input="one\ntwo\n/reset\nthree\n")
    pal.invoke(app, arguments, input="four\n")
    pal.invoke(app, ["chat", "--url", server.url], input="five\n")
    named, same, new, kept, other = (b["session_id"] for b in server.bodies("/v1/chat/completions"))
    assert named == same == "trip"
    assert new == kept
    assert len({named, new, other}) == 3
    assert messages(server)[3] == ["three", "You said three", "four"]


@pytest.mark.parametrize(("flag", "wanted"), [("--memory", True), ("--no-memory", False)])
def test_memory_is_asked_for_or_declined(server, flag: str, wanted: bool) -> None:
    pal.invoke(app, ["chat", flag, "--url", server.url], input="one\n")
    pal.invoke(app, ["chat", "--url", server.url], input="one\n")
    said, unsaid = server.bodies("/v1/chat/completions")
    assert said["memory"] == {"read": wanted, "write": wanted}
    assert "memory" not in unsaid


def test_the_memories_of_an_answer_are_told(server) -> None:
    last = {"choices": [], "palimpsest": {"memories": ["mem_1", "mem_2"], "memory": "unavailable"}}
    server.on("POST", "/v1/chat/completions", [chunk("Biscuit."), last])
    shown = pal.invoke(app, ["chat", "--url", server.url], input="My dog?\n")
    assert shown.stdout.splitlines() == ["Biscuit."]
    assert "remembered: mem_1 mem_2\nmemory: unavailable" in shown.stderr
    told = pal.invoke(app, ["chat", "--json", "--url", server.url], input="My dog?\n").stdout
    assert json.loads(told)["memories"] == ["mem_1", "mem_2"]


class Terminal:
    """`pal chat` at a terminal of its own."""

    def __init__(self, url: str) -> None:
        self._ours, theirs = pty.openpty()
        self._seen = b""
        command = [sys.executable, "-m", "cluster", "chat", "--url", url]
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(theirs)

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read_until(self, text: bytes) -> None:
        while text not in self._seen:
            ready, _, _ = select.select([self._ours], [], [], 30)
            assert ready, self._seen
            self._seen += os.read(self._ours, 4096)
        self._seen = self._seen.partition(text)[2]


def _own_terminal() -> None:
    """As a login shell has it: keys reach the command, which whatever started the tests may ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_at_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_leaves(server) -> None:
    left = threading.Event()

    def endless() -> Iterator[Any]:
        yield chunk("Once upon")
        while not left.wait(0.05):
            yield chunk(" and then")

    server.on("POST", "/v1/chat/completions", endless())
    terminal = Terminal(server.url)
    terminal.read_until(b"> ")
    terminal.type(b"Tell me a story\n")
    terminal.read_until(b"Once upon")
    terminal.type(b"\x03")
    terminal.read_until(b"(stopped)")
    terminal.read_until(b"> ")
    terminal.type(b"\x04")
    assert terminal.process.wait(30) == 0
    left.set()
