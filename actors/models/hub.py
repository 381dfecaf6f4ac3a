"""Fetches a model directory from the Hugging Face Hub. The one door to huggingface_hub."""

from pathlib import Path

import httpx

from actors.messages import NotReady, PalError

WANTED = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template*",
    "LICENSE*",
)
UNWANTED = ("original/*", "onnx/*", "*.bin", "*.pt", "*.pth", "*.pkl")


def fetch_snapshot(repository: str, revision: str, target: Path) -> None:
    """Put the safetensors, settings and tokenizer of a repository into `target`; goes on where it stopped.

    Raises NotReady if the Hub cannot be reached, PalError if the repository is gated or not there.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(
            repository,
            revision=revision,
            local_dir=target,
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
        )
    except GatedRepoError as error:
        raise PalError(
            f"{repository} is gated: accept its licence at https://huggingface.co/{repository}, then run "
            "`hf auth login`, or set HF_TOKEN"
        ) from error
    except (LocalEntryNotFoundError, httpx.TransportError, ConnectionError) as error:
        raise NotReady(
            f"could not reach the Hugging Face Hub for {repository}: {error}. What has come is kept, "
            "run it again when online (HF_ENDPOINT names a mirror)"
        ) from error
    except HfHubHTTPError as error:
        raise PalError(f"the Hugging Face Hub refused {repository}: {error}") from error
