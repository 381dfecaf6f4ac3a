"""PDF to text, page by page. Knows no limits but pages and characters: time and memory are its process's."""

import re
from io import BytesIO

from pypdf import PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError

from actors.messages import TooLarge, Unprocessable
from actors.readers.plain import clean

PAGE_BREAK = "\n\f\n"
_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)


def read_pdf(content: bytes, max_pages: int, max_characters: int) -> str:
    """The text of all pages, a form feed between them; words hyphenated at a line's end are joined.

    Raises TooLarge for too many pages or characters, Unprocessable for a file under a password. Whatever
    else pypdf raises on a broken file is left to rise.
    """
    reader = PdfReader(BytesIO(content), strict=False)
    _unlock(reader)
    declared = reader.root_object["/Pages"].get_object().get("/Count", 0)
    if declared > max_pages or len(reader.pages) > max_pages:
        raise TooLarge(f"the PDF has more than {max_pages} pages (documents.max_pages)")
    pages: list[str] = []
    total = 0
    for page in reader.pages:
        pages.append(_page_text(page.extract_text()))
        total += len(pages[-1])
        if total > max_characters:
            raise TooLarge(f"the PDF has more than {max_characters} characters (documents.max_characters)")
    return PAGE_BREAK.join(pages) if any(pages) else ""


def _unlock(reader: PdfReader) -> None:
    if not reader.is_encrypted:
        return
    try:
        opened = reader.decrypt("")
    except (DependencyError, FileNotDecryptedError, NotImplementedError) as error:
        raise Unprocessable("the PDF is encrypted: save it without a password first") from error
    if not opened:
        raise Unprocessable("the PDF is under a password: save it without one first")


def _page_text(text: str) -> str:
    lines = _TRAILING.sub("", clean(text.replace("\0", "").replace("\f", "\n")))
    return _HYPHEN.sub("", lines).strip("\n")
