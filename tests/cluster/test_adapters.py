"""`pal adapters` and `pal lineage`, over a server and over the files of one that is down."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from actors.lineage import Lineage
from cluster.__main__ import app
from cluster.context import FAILED, REFUSED, USAGE
from configs.load import load

pal = CliRunner()


def said(*words: str, code: int = 0) -> str:
    result = pal.invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_versions_of_a_server_that_is_down(tmp_path: Path, make_adapter: Callable[..., Path]) -> None:
    first = json.loads(said("adapters", "import", str(make_adapter(1, events=["e-1", "e-2"])), "--json"))[
        "version"
    ]
    second = said("adapters", "import", str(make_adapter(2, parent=first, scores={"recall": 0.75}))).split()[
        1
    ]
    refused = said("adapters", "import", str(make_adapter(files={})), code=REFUSED)
    assert refused.startswith("error: manifest.json does not say")
    said("adapters", "import", str(tmp_path / "none"), code=USAGE)
    rows = [json.loads(line) for line in said("adapters", "list", "--json").splitlines()]
    assert [(one["version"], one["state"], one["parent"]) for one in rows] == [
        (second, "candidate", first),
        (first, "candidate", None),
    ]
    assert "no gate has judged" in said("adapters", "promote", first, code=REFUSED)
    assert said("adapters", "promote", first, "--force") == f"serving {first}\n"
    assert said("adapters", "promote", second, "--force") == f"serving {second}\n"
    assert "recall 0.75" in said("adapters", "list")
    shown = said("adapters", "show", first)
    assert "learned from   e-1, e-2" in shown
    assert f"retired: {second} took its place" in shown
    compared = json.loads(said("adapters", "diff", first, second, "--json"))
    assert (compared["scores"], compared["only_in_first"]) == ({"recall": [0.5, 0.75]}, ["e-1", "e-2"])
    assert f"{first} alone learned from e-1, e-2" in said("adapters", "diff", first, second)
    out = tmp_path / "out"
    said("adapters", "export", second, str(out))
    assert json.loads((out / "manifest.json").read_text())["scores"] == {"recall": 0.75}
    assert "not empty" in said("adapters", "export", second, str(out), code=FAILED)
    assert said("adapters", "rollback", "--reason", "worse") == f"serving {first}\n"
    assert said("adapters", "rollback") == "serving the base model\n"
    assert "there is no adapter version" in said("adapters", "show", "none", code=FAILED)


def test_what_stands_behind_an_answer(make_adapter: Callable[..., Path]) -> None:
    version = said("adapters", "import", str(make_adapter(1, events=["e-1"]))).split()[1]

    async def note() -> None:
        lineage = Lineage(load().settings)
        await lineage.start()
        await lineage.note_answer("chatcmpl-1", "ann", version, ["m-1", "m-2"], 1.0)
        await lineage.close()

    asyncio.run(note())
    told = said("lineage", "chatcmpl-1")
    assert f"version        {version}\n" in told
    assert "learned from e-1\n" in told
    assert "memories       m-1, m-2\n" in told
    assert json.loads(said("lineage", "chatcmpl-1", "--json"))["versions"][0]["events"] == ["e-1"]
    assert "nothing is known" in said("lineage", "chatcmpl-1", "--user", "bob", code=FAILED)


def test_versions_of_a_server(fake: Any, make_adapter: Callable[..., Path]) -> None:
    at = ("--url", fake.url)
    refusal = {"error": {"message": "it is for another model", "code": "adapter_refused"}}
    fake.on("POST", "/v1/adapters/import", refusal, status=400)
    folder = make_adapter()
    assert "it is for another model" in said("adapters", "import", str(folder), *at, code=REFUSED)
    assert fake.bodies("/v1/adapters/import") == [{"path": str(folder), "user_id": None}]
    fake.on("POST", "/v1/adapters/rollback", {"version": "facts-1"})
    assert said("adapters", "rollback", "--of", "facts-2", *at) == "serving facts-1\n"
    assert fake.bodies("/v1/adapters/rollback") == [{"user_id": None, "reason": "", "of": "facts-2"}]
    fake.on("GET", "/v1/adapters", {"data": []})
    assert said("adapters", "list", "--json", *at) == ""
