from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

from actors.messages import NotReady, PalError
from actors.models.hub import UNWANTED, WANTED, fetch_snapshot

ANSWER = httpx.Response(403, request=httpx.Request("GET", "https://hub.invalid/a/b"))


@pytest.fixture
def snapshot(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception | None], list[Any]]:
    """Puts a recorder in the place of the download, which raises what it is given."""

    def install(error: Exception | None) -> list[Any]:
        calls: list[Any] = []

        def fake(*args: Any, **kwargs: Any) -> None:
            calls.append((args, kwargs))
            if error:
                raise error

        monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
        return calls

    return install


def test_only_safetensors_settings_and_tokenizer_are_asked_for(
    snapshot: Callable[[Exception | None], list[Any]], tmp_path: Path
) -> None:
    calls = snapshot(None)
    fetch_snapshot("some/one", "main", tmp_path)
    args, kwargs = calls[0]
    assert args == ("some/one",)
    assert kwargs["allow_patterns"] == list(WANTED)
    assert "*.bin" in kwargs["ignore_patterns"] == list(UNWANTED)
    assert not any(pattern.endswith((".bin", ".pt", ".pkl")) for pattern in WANTED)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (GatedRepoError("gated", response=ANSWER), PalError, "hf auth login"),
        (LocalEntryNotFoundError("offline"), NotReady, "could not reach"),
        (httpx.ConnectError("no route"), NotReady, "could not reach"),
        (HfHubHTTPError("no", response=ANSWER), PalError, "refused"),
    ],
)
def test_each_failure_says_what_to_do(
    snapshot: Callable[[Exception | None], list[Any]],
    tmp_path: Path,
    error: Exception,
    kind: type[PalError],
    said: str,
) -> None:
    snapshot(error)
    with pytest.raises(kind, match=said):
        fetch_snapshot("some/one", "main", tmp_path)
