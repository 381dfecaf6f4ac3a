import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app
from cluster.commands.demo import QUESTIONS, STORE

pal = CliRunner()
ANSWER = {"answer": "So.", "quote": "It is so.", "abstained": False, "support_score": 1.0, "citations": []}


@pytest.fixture
def server(fake):
    def stores(body: Any) -> tuple[int, Any]:
        made = any(method == "POST" for method, path, _ in fake.requests if path == "/v1/vector_stores")
        return 200, {"data": [{"id": "vs_1", "name": STORE}] if made else [], "has_more": False}

    fake.on("GET", "/v1/files", {"data": [], "has_more": False})
    fake.routes["GET", "/v1/vector_stores"] = stores
    fake.on("POST", "/v1/vector_stores", {"id": "vs_1", "name": STORE})
    fake.on("POST", "/v1/vector_stores/vs_1/files", {})
    fake.on("POST", "/v1/files", {"id": "file-1"})
    fake.on("POST", "/v1/qa", ANSWER)
    return fake


def test_pages_are_added_and_three_questions_asked_of_them_alone(server) -> None:
    result = pal.invoke(app, ["demo", "--url", server.url])
    assert result.exit_code == 0
    assert [line for line in result.stdout.splitlines() if line.startswith("> ")] == [
        f"> {q}" for q in QUESTIONS
    ]
    assert [body["vector_store_ids"] for body in server.bodies("/v1/qa")] == [["vs_1"]] * 3


def test_json_is_one_line_for_each_question(server) -> None:
    lines = pal.invoke(app, ["demo", "--json", "--url", server.url]).stdout.splitlines()
    assert [json.loads(line)["question"] for line in lines] == list(QUESTIONS)


def test_a_page_that_cannot_be_added_ends_it(server) -> None:
    server.on("POST", "/v1/files", {"error": {"message": "disk is full", "code": None}}, 500)
    result = pal.invoke(app, ["demo", "--url", server.url])
    assert result.exit_code == 1
    assert "disk is full" in result.stderr
