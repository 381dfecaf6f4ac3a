import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from actors.compression.counting import ScriptedCounter
from actors.compression.words import split
from cluster.__main__ import app
from cluster.context import FAILED, USAGE

TEXT = (
    "The <b>mill</b> on the river & the bridge beside it were built in 1790 by a miller's widow.\n\n"
    "It does not grind any more, but people of the village go there on Sundays to see the wheel turn, "
    "which is 6.5 m high and was made again from the old drawings that were found in the church.\n"
)
PAL = CliRunner()


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAL_ENGINE__KIND", "scripted")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mill <1>.txt"
    path.write_text(TEXT)
    return path


def compress(*arguments: object, typed: str | bytes | None = None) -> Result:
    return PAL.invoke(app, ["compress", *map(str, arguments)], input=typed)


def test_a_file_is_printed_shorter(file: Path) -> None:
    found = compress(file, "--budget", "0.6")
    count = ScriptedCounter().count
    assert found.exit_code == 0
    text = found.stdout.removesuffix("\n")
    assert abs(count(text) / count(TEXT) - 0.6) <= 0.02
    assert "1790" in text
    assert "6.5 m" in text
    assert "tokens before" in found.stderr


def test_standard_input_and_json() -> None:
    found = json.loads(compress("-", "--json", "--question", "Who built the bridge?", typed=TEXT).stdout)
    assert found["budget"] == 0.5
    assert found["tokens_after"] < found["tokens_before"]
    assert all(TEXT[start:end] in found["text"] for start, end in found["kept"])
    assert {"number", "negation"} <= {span["kind"] for span in found["protected"]}
    assert "bridge" in found["text"]


class Words(HTMLParser):
    """The words of a heat map's text, and those that are marked."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.text = ""
        self.classes: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = self.inside or tag == "pre"
        self.loads += [name for name, _ in attrs if name in ("src", "href")]
        if self.inside and tag == "span":
            self.classes.append(dict(attrs)["class"] or "")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "pre"

    def handle_data(self, data: str) -> None:
        self.text += data if self.inside else ""


def test_the_heat_map_shows_every_word_of_the_text(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    assert compress(file, "--budget", "0.6", "--heatmap", page).exit_code == 0
    html = page.read_text()
    words = Words()
    words.feed(html)
    assert words.text == TEXT
    assert len(words.classes) == len(split(TEXT))
    assert any("drop" in one for one in words.classes)
    assert any("safe" in one for one in words.classes)
    assert not any("drop" in one and "safe" in one for one in words.classes)
    assert words.loads == []
    assert "<b>" not in html
    assert "mill &lt;1&gt;.txt" in html
    assert re.search(r"Tokens after</th><td>\d+", html)


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    binary = tmp_path / "b.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments, typed in (([tmp_path / "none"], None), ([binary], None), (["-"], " \n")):
        found = compress(*arguments, typed=typed)
        assert found.exit_code == FAILED
        assert found.stderr.startswith("error: ")
        assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("budget", ["0", "1.5", "-1", "nan", "half"])
def test_a_budget_that_is_no_share_is_a_usage_error(file: Path, budget: str) -> None:
    assert compress(file, "--budget", budget).exit_code == USAGE


def test_a_text_past_the_limit_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAL_COMPRESSION__MAX_CHARACTERS", "1000")
    file.write_text("a " * 600)
    assert "compression.max_characters" in compress(file).stderr
