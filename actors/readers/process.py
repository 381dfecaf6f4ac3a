"""Reads a file in a process of its own, so that a hostile one can neither hang nor exhaust this one."""

import asyncio
import hashlib
import json
import math
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from actors.messages import PalError, ParsedDocument, TooLarge, Unprocessable, UnreadableType
from actors.readers.child import Limits
from actors.readers.sniff import media_type_of
from configs.schema import DocumentSettings

ROOT = Path(__file__).resolve().parents[2]
READING = asyncio.Semaphore(2)
"""Files read at the same time: each may take a core and `parse_memory_mib`."""
WALL_FACTOR = 3
"""Wall seconds for each CPU second allowed: a busy machine is no reason to refuse a file."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ERRORS: dict[str, type[PalError]] = {
    kind.__name__: kind for kind in (TooLarge, Unprocessable, UnreadableType)
}
_BYTES_PER_CHARACTER = 4
_HEADER_BYTES = 4096


async def read_file(
    filename: str, content: bytes, settings: DocumentSettings, claimed: str | None = None
) -> ParsedDocument:
    """The file's text, with type and hash. `claimed` is the media type the client gave.

    Raises UnreadableType, TooLarge (time, memory, pages, characters) or Unprocessable (broken, encrypted, no
    text).
    """
    media_type = media_type_of(filename, content, claimed)
    limits = Limits(
        media_type=media_type,
        max_characters=settings.max_characters,
        max_pages=settings.max_pages,
        cpu_s=math.ceil(settings.parse_timeout_s),
        memory_mib=settings.parse_memory_mib,
    )
    async with READING:
        text = await _read_apart(filename, content, limits)
    return ParsedDocument(
        filename=filename,
        media_type=media_type,
        text=text,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )


async def _read_apart(filename: str, content: bytes, limits: Limits) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-m", "actors.readers", limits.encode()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        env=_environment(),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.cpu_s * WALL_FACTOR):
            answer = await _exchange(process, content, limits)
            code = await process.wait()
    except TimeoutError as error:
        raise TooLarge(f"{filename} takes longer to read than {limits.cpu_s} s allow") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _text_of(filename, answer, code, limits)


async def _exchange(process: asyncio.subprocess.Process, content: bytes, limits: Limits) -> bytes:
    """Feed the file in and take the answer out, no more of it than a text within the limits has."""
    assert process.stdin is not None
    assert process.stdout is not None
    feeding = asyncio.create_task(_feed(process.stdin, content))
    try:
        most = limits.max_characters * _BYTES_PER_CHARACTER + _HEADER_BYTES
        parts: list[bytes] = []
        while part := await process.stdout.read(2**16):
            parts.append(part)
            most -= len(part)
            if most < 0:
                process.kill()
                break
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding
    return b"".join(parts)


async def _feed(stdin: asyncio.StreamWriter, content: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(content)
        await stdin.drain()
        stdin.close()


def _text_of(filename: str, answer: bytes, code: int, limits: Limits) -> str:
    header, _, text = answer.partition(b"\n")
    if code == 0:
        return text.decode("utf-8")
    if not header and code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise TooLarge(
            f"{filename} takes more than {limits.cpu_s} CPU seconds to read (documents.parse_timeout_s)"
        )
    found = json.loads(header) if header.startswith(b"{") else {"error": "", "message": f"exit status {code}"}
    if found["error"] == "MemoryError":
        raise TooLarge(
            f"{filename} takes more than {limits.memory_mib} MiB to read (documents.parse_memory_mib)"
        )
    if found["error"] == "LimitReachedError":
        raise TooLarge(f"{filename} unpacks to more than is read of one file ({found['message'][:200]})")
    kind = _ERRORS.get(found["error"])
    if kind is not None:
        raise kind(f"{filename}: {found['message']}")
    raise Unprocessable(f"{filename} is damaged and cannot be read ({found['message'][:200]})")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH", ""))))
    return kept
