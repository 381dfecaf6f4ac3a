"""Fetches a model directory from the Hugging Face Hub. The one door to huggingface_hub."""

from pathlib import Path

import httpx

from actors.messages import InvalidRequest, NotReady, PalError

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
PARQUET = "refs/convert/parquet"
"""Where the Hub keeps every data set in one form, split by split."""
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


def fetch_dataset(name: str, split: str) -> list[Path]:
    """The parquet files of one split of a data set, fetched where they are not at hand.

    Raises NotReady if the Hub cannot be reached, InvalidRequest if it has no such data set or split.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        files = HfApi().list_repo_files(name, repo_type="dataset", revision=PARQUET)
        wanted = [file for file in files if f"/{split}/" in file and file.endswith(".parquet")]
        if not wanted:
            splits = sorted({file.split("/")[-2] for file in files if file.count("/") >= 2})
            raise InvalidRequest(f"{name} has no split {split!r}; it has {', '.join(splits)}")
        return [Path(hf_hub_download(name, file, repo_type="dataset", revision=PARQUET)) for file in wanted]
    except RepositoryNotFoundError as error:
        raise InvalidRequest(f"Hugging Face has no data set {name!r}") from error
    except (OfflineModeIsEnabled, httpx.TransportError, ConnectionError) as error:
        raise NotReady(
            f"could not reach the Hugging Face Hub for the data set {name!r}: {error}. "
            "Use files of your own, or run it again when online"
        ) from error
    except HfHubHTTPError as error:
        raise PalError(f"the Hugging Face Hub refused the data set {name!r}: {error}") from error
