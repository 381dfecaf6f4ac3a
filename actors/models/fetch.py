"""Downloads one file, goes on where it stopped, and believes only the checksum. Knows no model."""

import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from actors.messages import NotReady, PalError
from actors.models.manifest import file_sha256

Report = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all (None: unknown)."""

TRIES = 5
TIMEOUT = httpx.Timeout(30, connect=10)


class TryAgain(Exception):
    """An answer that may be better next time."""


@contextmanager
def client() -> Iterator[httpx.Client]:
    """An HTTP client that follows redirects and honours proxies and the certificates that pip is set to."""
    with httpx.Client(timeout=TIMEOUT, follow_redirects=True, verify=certificates()) as opened:
        yield opened


def certificates(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """The authorities to trust: those that the environment names for OpenSSL, pip or requests."""
    if not (environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR")):
        named = environ.get("PIP_CERT") or environ.get("REQUESTS_CA_BUNDLE")
        if named and Path(named).is_file():
            return ssl.create_default_context(cafile=named)
    return httpx.create_ssl_context()


def download(
    http: httpx.Client,
    url: str,
    target: Path,
    sha256: str,
    report: Report,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch `url` into `target`, by way of `target.part`, which a later call goes on with.

    Raises NotReady when the network fails after all tries (the part stays), PalError for a refusal or a
    wrong checksum (the part is removed).
    """
    part = target.with_name(target.name + ".part")
    resumed = part.exists()
    _transfer(http, url, part, report, pause)
    if resumed and file_sha256(part) != sha256:
        part.unlink()
        _transfer(http, url, part, report, pause)
    if (found := file_sha256(part)) != sha256:
        part.unlink()
        raise PalError(
            f"{target.name} from {urlsplit(url).hostname} has sha256 {found}, expected {sha256}: "
            "it was damaged or replaced on the way; try again, or another package index",
            code="checksum_mismatch",
        )
    part.replace(target)


def retrying(
    what: str, attempt: Callable[[], None], progress: Callable[[], int], pause: Callable[[float], None]
) -> None:
    """Call `attempt` until it succeeds; tries that made progress do not count. Raises NotReady."""
    failed, reached = 0, progress()
    while True:
        try:
            return attempt()
        except (httpx.TransportError, TryAgain) as error:
            if progress() > reached:
                failed, reached = 0, progress()
            failed += 1
            if failed >= TRIES:
                raise NotReady(
                    f"could not fetch {what}: {error or type(error).__name__}. Check the network connection "
                    "(and PIP_INDEX_URL, if packages come from a mirror); what has come is kept, run it again"
                ) from error
            pause(min(0.5 * 2**failed, 8.0))


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if its status is one of success. Raises TryAgain or PalError."""
    if response.status_code in {408, 425, 429} or response.status_code >= 500:
        raise TryAgain(f"{response.url.host} answered {response.status_code}")
    if response.is_error:
        raise PalError(f"{response.url.host}{response.url.path} answered {response.status_code}")
    return response


def _transfer(
    http: httpx.Client, url: str, part: Path, report: Report, pause: Callable[[float], None]
) -> None:
    retrying(
        part.name.removesuffix(".part"), lambda: _go_on(http, url, part, report), lambda: _size(part), pause
    )


def _go_on(http: httpx.Client, url: str, part: Path, report: Report) -> None:
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with http.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        checked(response)
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            for block in response.iter_bytes():
                file.write(block)
                have += len(block)
                report(have, total)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
