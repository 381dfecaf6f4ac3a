import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app
from cluster.commands.docs import candidates_in

pal = CliRunner()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "notes/b.md",
        "notes/a.txt",
        "notes/deep/c.HTML",
        "notes/.git/x.md",
        "notes/.y.md",
        "notes/z.png",
    ):
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def server(fake):
    """Takes every upload; keeps what is in its file list by hand."""

    def store(body: bytes) -> tuple[int, Any]:
        name = body.partition(b'filename="')[2].partition(b'"')[0].decode()
        if name.endswith("a.txt"):
            return 415, {"error": {"message": f"{name} is not text", "code": "unsupported_file_type"}}
        return 200, {"id": f"file-{name}", "filename": name}

    fake.on("GET", "/v1/files", {"data": [], "has_more": False})
    fake.on("GET", "/v1/vector_stores", {"data": [], "has_more": False})
    fake.on("POST", "/v1/vector_stores", {"id": "vs_9", "name": "new"})
    fake.on("POST", "/v1/vector_stores/vs_9/files", {})
    fake.routes["POST", "/v1/files"] = store
    return fake


def test_a_directory_is_walked_in_order_and_names_are_relative_to_the_working_directory(tree: Path) -> None:
    found = list(candidates_in(Path("notes")))
    assert [one.name for one in found if not one.skipped] == [
        "notes/a.txt",
        "notes/b.md",
        "notes/deep/c.HTML",
    ]
    assert {one.name: one.skipped for one in found if one.skipped} == {
        "notes/.y.md": "hidden",
        "notes/z.png": "type .png is not read",
    }


def test_beyond_the_working_directory_names_begin_at_the_path_given(tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert [one.name for one in candidates_in(tree / "notes" / "deep", elsewhere)] == ["deep/c.HTML"]
    assert [one.name for one in candidates_in(tree / "notes" / "z.png", elsewhere)] == ["z.png"]


def test_a_file_that_fails_is_told_and_the_rest_is_kept(tree: Path, server) -> None:
    result = pal.invoke(app, ["docs", "add", "notes", "missing.md", "--url", server.url])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["added      notes/b.md", "added      notes/deep/c.HTML"]
    assert "notes/a.txt is not text" in result.stderr
    assert "missing.md: No such file or directory" in result.stderr
    assert "skipped 1 file: hidden" in result.stderr


def test_unchanged_and_updated_are_told_apart(tree: Path, server) -> None:
    same = {"id": "file-1", "filename": "notes/b.md", "sha256": sha256(b"notes/b.md").hexdigest()}
    other = {"id": "file-2", "filename": "notes/deep/c.HTML", "sha256": "0" * 64}
    server.on("GET", "/v1/files", {"data": [same, other], "has_more": False})
    result = pal.invoke(app, ["docs", "add", "notes/b.md", "notes/deep", "--json", "--url", server.url])
    assert result.exit_code == 0
    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == ["unchanged", "updated"]


def test_files_are_put_in_a_store_that_is_made_once(tree: Path, server) -> None:
    result = pal.invoke(
        app, ["docs", "add", "notes/b.md", "notes/deep", "--store", "new", "--url", server.url]
    )
    assert result.exit_code == 0
    assert server.bodies("/v1/vector_stores") == [b"", {"name": "new"}]
    attached = server.bodies("/v1/vector_stores/vs_9/files")
    assert sorted(attached, key=str) == [
        {"file_id": "file-notes/b.md"},
        {"file_id": "file-notes/deep/c.HTML"},
    ]


def test_list_prints_a_table_or_json_lines(fake) -> None:
    file = {"id": "file-1", "filename": "a [x].md", "bytes": 12, "created_at": 1_700_000_000}
    fake.on("GET", "/v1/files", {"data": [file], "has_more": False})
    table = pal.invoke(app, ["docs", "list", "--url", fake.url]).stdout
    assert "a [x].md" in table
    assert "2023-11-1" in table
    assert json.loads(pal.invoke(app, ["docs", "list", "--json", "--url", fake.url]).stdout) == file


def test_rm_takes_ids_and_names(fake) -> None:
    data = [{"id": "file-1", "filename": "a.md"}, {"id": "file-2", "filename": "b.md"}]
    fake.on("GET", "/v1/files", {"data": data, "has_more": False})
    fake.on("DELETE", "/v1/files/file-1", {"id": "file-1", "deleted": True})
    fake.on("DELETE", "/v1/files/file-2", {"id": "file-2", "deleted": True})
    result = pal.invoke(app, ["docs", "rm", "a.md", "file-2", "--url", fake.url])
    assert result.stdout.splitlines() == ["removed a.md", "removed file-2"]


def test_rm_of_something_unknown_removes_nothing(fake) -> None:
    fake.on("GET", "/v1/files", {"data": [{"id": "file-1", "filename": "a.md"}], "has_more": False})
    result = pal.invoke(app, ["docs", "rm", "a.md", "c.md", "--url", fake.url])
    assert result.exit_code == 1
    assert "no such document: c.md" in result.stderr
    assert [method for method, _, _ in fake.requests] == ["GET"]


def test_a_file_named_twice_is_added_once(tree: Path, server) -> None:
    result = pal.invoke(app, ["docs", "add", "notes/b.md", "./notes/b.md", "notes/deep", "--url", server.url])
    assert result.exit_code == 0
    assert len(server.bodies("/v1/files")) == 1 + 2


def test_two_files_of_one_name_do_not_replace_each_other(tree: Path, server, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.md").write_text(name)
    paths = [str(tmp_path / name / "c.md") for name in ("x", "y")]
    result = pal.invoke(app, ["docs", "add", *paths, "--url", server.url])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["added      c.md"]
    assert "has the name c.md already" in result.stderr


def test_a_server_that_stops_ends_the_adding(tree: Path, server) -> None:
    body = {"error": {"message": "the embedder is starting", "code": "not_ready"}}
    server.on("POST", "/v1/files", body, 503)
    result = pal.invoke(app, ["docs", "add", "notes", "--url", server.url])
    assert result.exit_code == 3
    assert "the embedder is starting" in result.stderr
