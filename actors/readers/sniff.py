"""Tells a file's media type from its first bytes and its name. Reads no further and parses nothing."""

from pathlib import PurePosixPath

from actors.messages import UnreadableType

PLAIN, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"
READABLE = "txt, Markdown, HTML and PDF files are read"

_BY_SUFFIX = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx"), MARKDOWN),
    **dict.fromkeys((".html", ".htm", ".xhtml"), HTML),
    ".pdf": PDF,
}
_BINARY = (
    ".zip .gz .bz2 .xz .7z .rar .tar .tgz .docx .doc .xlsx .xls .pptx .ppt .odt .ods .odp .epub .jar .whl "
    ".png .jpg .jpeg .gif .bmp .webp .tif .tiff .ico .heic .mp3 .mp4 .wav .ogg .flac .avi .mkv .mov .webm "
    ".exe .dll .so .dylib .o .a .class .pyc .wasm .bin .iso .dmg .db .sqlite .sqlite3 .parquet .npy .npz "
    ".safetensors .gguf .onnx .pt .pth .pkl .pickle .ttf .otf .woff .woff2"
)
_BINARY_SUFFIXES = frozenset(_BINARY.split())
_MAGIC = (
    (b"PK\x03\x04", "a zip archive (or an office document, which is one)"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a media file"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\0asm", "a program"),
    (b"OggS", "a media file"),
    (b"ID3", "a media file"),
    (b"fLaC", "a media file"),
    (b"SQLite format 3\0", "a database"),
    (b"GGUF", "a model file"),
    (b"{\\rtf", "an RTF document"),
)
WIDE_BOMS = (b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"\xff\xfe", b"\xfe\xff")
_HEAD = 1024


def media_type_of(filename: str, content: bytes, claimed: str | None = None) -> str:
    """The media type by content, then name, then what the client claims.

    Raises UnreadableType for content that no reader takes, and for content that contradicts the name.
    """
    suffix = PurePosixPath(filename).suffix.lower()
    expected = _BY_SUFFIX.get(suffix)
    if b"%PDF-" in content[:_HEAD]:
        if expected not in {PDF, None} or suffix in {".txt", ".text"}:
            raise UnreadableType(f"{filename} is a PDF, which its name does not say: rename it to .pdf")
        return PDF
    _refuse_binary(filename, content)
    if expected == PDF:
        raise UnreadableType(f"{filename} is not a PDF, although its name says so")
    if suffix in _BINARY_SUFFIXES:
        raise UnreadableType(f"{filename} is of a type that is not read: {READABLE}")
    if expected is not None:
        return expected
    if not suffix:
        return _unnamed(content, claimed)
    return PLAIN


def _refuse_binary(filename: str, content: bytes) -> None:
    if content.startswith(WIDE_BOMS):
        return
    for magic, name in _MAGIC:
        if content.startswith(magic):
            raise UnreadableType(f"{filename} is {name}: {READABLE}")
    if b"\0" in content:
        raise UnreadableType(f"{filename} has NUL bytes, which no text has: {READABLE}")


def _unnamed(content: bytes, claimed: str | None) -> str:
    head = content[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return HTML
    essence = (claimed or "").split(";")[0].strip().lower()
    return essence if essence in {MARKDOWN, HTML} else PLAIN
