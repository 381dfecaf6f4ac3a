import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from actors.messages import Health, NotFound, NotReady, PalError
from cluster.context import REFUSED, Commands, emit, fail, show_table
from configs.load import SettingsError

pal = CliRunner()


def app_raising(error: Exception) -> typer.Typer:
    app = typer.Typer(cls=Commands)

    @app.command()
    def one() -> None:
        raise error

    @app.command()
    def two() -> None:
        fail("the gate said no", REFUSED)

    return app


@pytest.mark.parametrize(
    ("error", "code"),
    [(NotReady("x"), 3), (NotFound("x"), 1), (PalError("x"), 1), (SettingsError("x"), 2)],
)
def test_an_expected_error_is_one_line_and_a_code(error: Exception, code: int) -> None:
    result = pal.invoke(app_raising(error), ["one"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "error: x\n")


def test_an_unexpected_error_rises() -> None:
    result = pal.invoke(app_raising(ZeroDivisionError()), ["one"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_refusal_has_its_own_code() -> None:
    assert pal.invoke(app_raising(NotFound("x")), ["two"]).exit_code == 4


def test_emit_prints_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"path": Path("a"), "health": Health(ok=True), "names": {"b", "a"}, "text": "é\n"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "é" in out
    health = {"ok": True, "detail": "", "running": 0, "waiting": 0}
    assert json.loads(out) == {"path": "a", "health": health, "names": ["a", "b"], "text": "é\n"}


def test_emit_refuses_what_has_no_json_form() -> None:
    with pytest.raises(TypeError, match="object"):
        emit(object())


def test_a_table_is_not_cut_or_styled_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["Name", "What"], [["[red]", "x" * 300], [None, 3]])
    out = capsys.readouterr().out
    assert "[red]" in out
    assert "x" * 300 in out
