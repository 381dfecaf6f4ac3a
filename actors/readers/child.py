"""The reading process: takes its limits, reads one file on stdin, answers on stdout. Knows no other file."""

import json
import logging
import resource
import sys
from dataclasses import asdict, dataclass
from types import TracebackType

from actors.messages import PalError, TooLarge, Unprocessable
from actors.readers import sniff


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one reading may take."""

    media_type: str
    max_characters: int
    max_pages: int
    cpu_s: int
    memory_mib: int

    def encode(self) -> str:
        """As the command line carries it."""
        return json.dumps(asdict(self))


def main() -> None:
    """One line of JSON, `{"error": null}` or `{"error": name, "message": …}`, then the text in UTF-8."""
    sys.excepthook = _report
    logging.disable()
    limits = Limits(**json.loads(sys.argv[1]))
    confine(limits)
    text = read(sys.stdin.buffer.read(), limits)
    encoded = text.encode("utf-8")
    sys.stdout.buffer.write(b'{"error": null}\n' + encoded)


def read(content: bytes, limits: Limits) -> str:
    """The text of a file. Raises TooLarge, Unprocessable, UnreadableType, or whatever a parser raises."""
    if limits.media_type == sniff.PDF:
        from actors.readers.pdf import read_pdf

        text = read_pdf(content, limits.max_pages, limits.max_characters)
        hint = "; scanned pages need text recognition (OCR) first"
    elif limits.media_type == sniff.HTML:
        from actors.readers.markup import read_html

        text, hint = read_html(content), ""
    else:
        from actors.readers.plain import decode

        text, hint = decode(content), ""
    if len(text) > limits.max_characters:
        raise TooLarge(
            f"the file has more than {limits.max_characters} characters (documents.max_characters)"
        )
    if not text.strip():
        raise Unprocessable(f"the file has no text{hint}")
    return text


def confine(limits: Limits) -> None:
    """Bound processor time, memory and files of this process, from here on.

    macOS accepts a limit on address space and does not enforce it: there only time bounds the reading.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        most = now + limits.memory_mib * 1024**2
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _report(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    message = str(error) if isinstance(error, PalError) else f"{kind.__name__}: {error}"[:300]
    answer = json.dumps({"error": kind.__name__, "message": message}) + "\n"
    sys.stdout.buffer.write(answer.encode())
    sys.stdout.buffer.flush()
