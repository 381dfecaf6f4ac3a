import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.messages import NotReady, PalError
from actors.models.fetch import TRIES, certificates, client, download

if TYPE_CHECKING:
    from tests.actors.models.conftest import Index

FILE = "/files/tiny.whl"


def _get(index: "Index", target: Path, pauses: list[float] | None = None) -> list[tuple[int, int | None]]:
    seen: list[tuple[int, int | None]] = []
    waits = [] if pauses is None else pauses
    with client() as http:
        download(
            http, index.url + FILE, target, index.sha256, lambda *step: seen.append(step), pause=waits.append
        )
    return seen


def test_a_whole_file_comes_with_progress(index: "Index", tmp_path: Path) -> None:
    target = tmp_path / "t.whl"
    seen = _get(index, target)
    assert target.read_bytes() == index.wheel
    assert seen[-1] == (len(index.wheel), len(index.wheel))
    assert not list(tmp_path.glob("*.part"))


def test_after_a_cut_it_goes_on_where_it_stopped(index: "Index", tmp_path: Path) -> None:
    index.cut = [300_000, 200_000]
    target = tmp_path / "t.whl"
    _get(index, target)
    assert target.read_bytes() == index.wheel
    assert index.downloads == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on_with_the_part(index: "Index", tmp_path: Path) -> None:
    (tmp_path / "t.whl.part").write_bytes(index.wheel[:1000])
    _get(index, tmp_path / "t.whl")
    assert index.downloads == ["bytes=1000-"]


def test_a_whole_part_is_only_checked(index: "Index", tmp_path: Path) -> None:
    (tmp_path / "t.whl.part").write_bytes(index.wheel)
    _get(index, tmp_path / "t.whl")
    assert (tmp_path / "t.whl").read_bytes() == index.wheel


def test_a_server_without_ranges_starts_again(index: "Index", tmp_path: Path) -> None:
    index.ranges = False
    (tmp_path / "t.whl.part").write_bytes(b"x" * 1000)
    _get(index, tmp_path / "t.whl")
    assert (tmp_path / "t.whl").read_bytes() == index.wheel


def test_a_damaged_part_is_thrown_away(index: "Index", tmp_path: Path) -> None:
    (tmp_path / "t.whl.part").write_bytes(b"x" * 1000)
    _get(index, tmp_path / "t.whl")
    assert index.downloads == ["bytes=1000-", None]


def test_a_wrong_checksum_is_refused_and_leaves_nothing(index: "Index", tmp_path: Path) -> None:
    with client() as http, pytest.raises(PalError, match="sha256") as caught:
        download(http, index.url + FILE, tmp_path / "t.whl", "0" * 64, lambda *step: None)
    assert caught.value.code == "checksum_mismatch"
    assert not list(tmp_path.iterdir())


def test_an_overloaded_server_is_asked_again(index: "Index", tmp_path: Path) -> None:
    index.statuses = [503, 429]
    pauses: list[float] = []
    _get(index, tmp_path / "t.whl", pauses)
    assert pauses == [1.0, 2.0]


def test_it_gives_up_after_some_tries_and_says_what_to_do(index: "Index", tmp_path: Path) -> None:
    index.statuses = [503] * TRIES
    with pytest.raises(NotReady, match="PIP_INDEX_URL"):
        _get(index, tmp_path / "t.whl")
    assert len(index.asked) == TRIES


def test_a_missing_file_is_not_asked_for_again(index: "Index", tmp_path: Path) -> None:
    index.statuses = [404]
    with pytest.raises(PalError, match="answered 404"):
        _get(index, tmp_path / "t.whl")
    assert len(index.asked) == 1


def test_no_network_is_not_ready(free_port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port}/t.whl"
    with client() as http, pytest.raises(NotReady, match="could not fetch"):
        download(http, url, tmp_path / "t.whl", "0" * 64, lambda *step: None, pause=lambda seconds: None)


def test_pips_certificates_are_trusted_where_none_are_named_for_openssl(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        certificates({"PIP_CERT": __file__})
    assert certificates({"PIP_CERT": str(tmp_path / "none")}).verify_mode == ssl.CERT_REQUIRED
    assert certificates({"PIP_CERT": __file__, "SSL_CERT_DIR": str(tmp_path)})
