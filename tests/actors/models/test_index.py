from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.messages import NotReady, PalError
from actors.models.fetch import client
from actors.models.index import DEFAULT, find_wheel, index_urls, pip_settings
from actors.models.registry import Wheel

if TYPE_CHECKING:
    from tests.actors.models.conftest import Index


def _wheel(index: "Index", **changes: str) -> Wheel:
    fields = {"package": "Tiny.Model", "version": "1.0", "sha256": index.sha256} | changes
    return Wheel.model_validate(fields | {"files": {"a": "b"}})


def _find(wheel: Wheel, *indexes: str) -> str:
    with client() as http:
        return find_wheel(http, wheel, indexes, pause=lambda seconds: None)


@pytest.mark.parametrize("html", [False, True])
def test_the_wheel_is_found_in_json_and_in_html(index: "Index", html: bool) -> None:
    index.html = html
    found = _find(_wheel(index), f"{index.url}/simple")
    assert found == f"{index.url}/files/tiny_model-1.0-py3-none-any.whl"


def test_the_next_index_is_asked_where_one_lacks_it(index: "Index") -> None:
    assert _find(_wheel(index), f"{index.url}/empty", f"{index.url}/simple")


@pytest.mark.parametrize("change", [{"version": "1"}, {"sha256": "0" * 64}, {"package": "absent"}])
def test_another_version_or_content_is_not_taken(index: "Index", change: dict[str, str]) -> None:
    with pytest.raises(PalError, match=r"not in the package index \(127"):
        _find(_wheel(index, **change), f"{index.url}/simple")


def test_an_unreachable_index_is_not_ready(index: "Index", free_port: int) -> None:
    with pytest.raises(NotReady, match=r"list of Tiny\.Model files"):
        _find(_wheel(index), f"http://127.0.0.1:{free_port}/simple")


def test_the_environment_names_the_indexes() -> None:
    nothing = {"PIP_CONFIG_FILE": "/dev/null"}
    assert index_urls(nothing) == (DEFAULT,)
    assert index_urls(nothing | {"PIP_INDEX_URL": "https://a/simple/"}) == ("https://a/simple",)
    both = {"UV_DEFAULT_INDEX": "https://u/simple", "PIP_INDEX_URL": "https://a/simple"}
    assert index_urls(nothing | both) == ("https://u/simple",)
    extra = {"PIP_EXTRA_INDEX_URL": "file:///local https://b/simple", "UV_INDEX": "name=https://c/simple"}
    assert index_urls(nothing | extra) == (DEFAULT, "https://c/simple", "https://b/simple")


def test_pips_own_files_name_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "pip.conf").write_text("[global]\nindex-url = https://one/simple\n")
    (tmp_path / "named.conf").write_text("[install]\nindex-url = https://two/simple\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    monkeypatch.setenv("HOME", str(tmp_path))
    assert index_urls(environ)[0] == "https://one/simple"
    assert pip_settings(environ | {"PIP_CONFIG_FILE": str(tmp_path / "named.conf")})["index-url"].endswith(
        "two/simple"
    )


def test_a_broken_pip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("index-url = x\n")
    with pytest.raises(PalError, match=r"pip\.conf"):
        pip_settings({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
