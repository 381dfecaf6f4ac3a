"""Every client command against the real server in one process: scripted engine, hashed embeddings."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster.__main__ import app

LEASE = "The rent is due on the fifth day of every month. The deposit is two months of rent.\n"
GARDEN = "Tomatoes are watered in the morning. The shed is painted green.\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `pal up --local` listens."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = [f"home={home}", "models.embedder=hash", f"port={port}"]
    flags = [part for pair in settings for part in ("--set", pair)]
    command = [sys.executable, "-m", "cluster", *flags, "up", "--local", "--engine", "scripted", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert json.loads(server.stdout.readline())["status"] == "ready"
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    assert server.wait(60) == 0


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two pages in `notes`."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/lease.md").write_text(LEASE)
    (tmp_path / "notes/garden.txt").write_text(GARDEN)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "notes"


def pal(url: str, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [*arguments, "--url", url], input=typed)


def lines(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_documents_are_added_found_answered_from_and_removed(url: str, pages: Path) -> None:
    added = lines(pal(url, "docs", "add", "notes", "--store", "home", "--json"))
    assert [(one["filename"], one["status"]) for one in added] == [
        ("notes/garden.txt", "added"),
        ("notes/lease.md", "added"),
    ]
    (pages / "garden.txt").write_text(GARDEN + "The gate is blue.\n")
    again = lines(pal(url, "docs", "add", "notes", "--json"))
    assert [one["status"] for one in again] == ["updated", "unchanged"]
    assert [one["id"] for one in again] == [one["id"] for one in added]
    assert {one["filename"] for one in lines(pal(url, "docs", "list", "--json"))} == {
        "notes/garden.txt",
        "notes/lease.md",
    }

    for store in ((), ("--store", "home")):
        found = lines(pal(url, "docs", "search", "rent due", "-k", "1", "--json", *store))
        assert [one["filename"] for one in found] == ["notes/lease.md"]

    [answer] = lines(pal(url, "ask", "When is the rent due?", "--store", "home", "--json"))
    place = answer["citations"][0]
    assert not answer["abstained"]
    assert place["filename"] == "notes/lease.md"
    assert LEASE[place["start"] : place["end"]] == place["quote"]
    assert "fifth day" in answer["quote"]
    shown = pal(url, "ask", "When is the rent due?").stdout
    assert "[1] notes/lease.md, characters 0–" in shown

    assert pal(url, "docs", "rm", "notes/lease.md", "notes/garden.txt").exit_code == 0
    assert lines(pal(url, "docs", "list", "--json")) == []
    assert "Nothing in the documents supports an answer." in pal(url, "ask", "When is the rent due?").stdout


def test_an_unreadable_file_fails_alone(url: str, pages: Path) -> None:
    (pages / "bad.pdf").write_bytes(b"MZ\0\0")
    result = pal(url, "docs", "add", "notes")
    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["notes/garden.txt", "notes/lease.md"]
    assert "bad.pdf" in result.stderr
    pal(url, "docs", "rm", "notes/lease.md", "notes/garden.txt")


def test_chat_is_streamed_and_remembers_its_own_turns(url: str) -> None:
    first, second = lines(pal(url, "chat", "--json", typed="Hello\nAnd again\n"))
    assert first["answer"]
    assert second["answer"]


def test_an_unknown_model_is_told_in_the_servers_words(url: str) -> None:
    result = pal(url, "chat", "--model", "gpt-9", typed="Hello\n")
    assert result.exit_code == 1
    assert "The model 'gpt-9' does not exist" in result.stderr


def test_the_demo_cites_this_projects_pages(url: str) -> None:
    answers = lines(pal(url, "demo", "--json"))
    assert len(answers) == 3
    for answer in answers:
        assert not answer["abstained"], answer["question"]
        assert answer["citations"][0]["filename"]
