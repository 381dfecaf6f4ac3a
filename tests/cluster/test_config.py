import json

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app
from configs.load import dotted
from configs.schema import Settings

pal = CliRunner()


def test_every_setting_is_shown_with_its_sentence() -> None:
    rows = [json.loads(line) for line in pal.invoke(app, ["config", "show", "--json"]).stdout.splitlines()]
    assert [row["key"] for row in rows] == [key for key, _ in dotted(Settings())]
    assert all(row["description"].endswith(".") for row in rows)


def test_origin_is_shown_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAL_PORT", "9000")
    with_origin = pal.invoke(app, ["config", "show", "port", "--origin"]).stdout
    assert "9000" in with_origin
    assert "environment (PAL_PORT)" in with_origin
    assert "environment" not in pal.invoke(app, ["config", "show", "port"]).stdout


@pytest.mark.parametrize("extra", [[], ["--json"], ["--origin"]])
def test_keys_are_masked(monkeypatch: pytest.MonkeyPatch, extra: list[str]) -> None:
    monkeypatch.setenv("PAL_API_KEYS", "ann:secret1,secret2")
    shown = pal.invoke(app, ["config", "show", *extra]).stdout
    assert "ann:***" in shown
    assert "secret" not in shown


def test_a_group_or_one_setting_may_be_named() -> None:
    def keys(name: str) -> list[str]:
        lines = pal.invoke(app, ["config", "show", name, "--json"]).stdout.splitlines()
        return [json.loads(line)["key"] for line in lines]

    assert keys("port") == ["port"]
    assert (
        set(keys("engine"))
        == set(keys("engine."))
        == {k for k, _ in dotted(Settings()) if k.startswith("engine.")}
    )
    assert pal.invoke(app, ["config", "show", "engin"]).exit_code == 2
