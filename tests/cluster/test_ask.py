import json

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app
from cluster.commands.ask import NOTHING

pal = CliRunner()
PLACE = {
    "document_id": "file-1",
    "filename": "a.md",
    "start": 3,
    "end": 11,
    "quote": "Paris\nis",
    "score": 0.9,
}
ANSWER = {
    "answer": "Paris.",
    "quote": "Paris\nis",
    "abstained": False,
    "support_score": 0.9,
    "citations": [PLACE],
}


def test_answer_quote_and_place_are_printed(fake) -> None:
    fake.on("POST", "/v1/qa", ANSWER)
    result = pal.invoke(app, ["ask", "Which city?", "--url", fake.url])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["Paris.", "“Paris is”", "  [1] a.md, characters 3–11: “Paris is”"]
    assert fake.bodies("/v1/qa") == [{"question": "Which city?"}]


def test_no_support_is_said_plainly_and_is_no_failure(fake) -> None:
    fake.on("POST", "/v1/qa", {**ANSWER, "answer": "", "quote": "", "abstained": True, "citations": []})
    result = pal.invoke(app, ["ask", "Which city?", "--url", fake.url])
    assert (result.exit_code, result.stdout.strip()) == (0, NOTHING)


@pytest.mark.parametrize(
    ("compression", "said"),
    [
        ({"tokens_before": 900, "tokens_after": 450, "bypassed": False}, "900 → 450"),
        ({"tokens_before": 90, "tokens_after": 90, "bypassed": True}, "nothing to save"),
        ("unavailable", "unavailable"),
    ],
)
def test_what_was_shortened_is_said_beside_the_answer(fake, compression, said: str) -> None:
    fake.on("POST", "/v1/qa", {**ANSWER, "compression": compression})
    result = pal.invoke(app, ["ask", "Which city?", "--compress", "0.5", "--url", fake.url])
    assert said in result.stderr
    assert "compress" not in result.stdout
    assert fake.bodies("/v1/qa") == [{"question": "Which city?", "compression": {"budget": 0.5}}]


@pytest.mark.parametrize("budget", ["half", "0", "1.5", "nan"])
def test_a_budget_that_is_no_share_is_refused_here(fake, budget: str) -> None:
    result = pal.invoke(app, ["ask", "Which city?", "--compress", budget, "--url", fake.url])
    assert result.exit_code == 2
    assert "--compress" in result.stderr


def test_json_is_the_servers_object(fake) -> None:
    fake.on("POST", "/v1/qa", ANSWER)
    result = pal.invoke(app, ["ask", "Which city?", "--json", "--url", fake.url])
    assert json.loads(result.stdout) == ANSWER


def test_stores_may_be_named_and_options_are_passed_on(fake) -> None:
    fake.on("GET", "/v1/vector_stores", {"data": [{"id": "vs_1", "name": "notes"}], "has_more": False})
    fake.on("POST", "/v1/qa", ANSWER)
    arguments = [
        "ask",
        "Q?",
        "--store",
        "notes",
        "--store",
        "vs_1",
        "-k",
        "3",
        "--model",
        "m",
        "--url",
        fake.url,
    ]
    assert pal.invoke(app, arguments).exit_code == 0
    assert fake.bodies("/v1/qa") == [
        {"question": "Q?", "k": 3, "model": "m", "vector_store_ids": ["vs_1", "vs_1"]}
    ]


def test_an_unknown_store_fails_with_a_way_out(fake) -> None:
    fake.on("GET", "/v1/vector_stores", {"data": [], "has_more": False})
    result = pal.invoke(app, ["ask", "Q?", "--store", "notes", "--url", fake.url])
    assert result.exit_code == 1
    assert "pal docs add PATH --store notes" in result.stderr


@pytest.mark.parametrize("arguments", [["ask", "Q?"], ["demo"], ["docs", "list"], ["chat"]])
def test_no_server_is_exit_3_and_says_how_to_start_one(arguments: list[str]) -> None:
    result = pal.invoke(app, [*arguments, "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr == "error: no server answers at http://127.0.0.1:1; start one with: pal up\n"
