"""PDF files made by hand."""

import zlib
from collections.abc import Callable, Sequence

import pytest


def pdf_of(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF file of these objects, the first of which is its root."""
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        trailer,
        start,
    )


def pages_of(*drawings: bytes, trailer: bytes = b"") -> bytes:
    """A PDF file whose pages draw these content streams, compressed."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(drawings)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(drawings)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, drawing in enumerate(drawings):
        packed = zlib.compress(drawing, 9)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (5 + 2 * number)
        )
        objects.append(
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)
        )
    return pdf_of(objects, trailer)


def lines_of(*lines: bytes) -> bytes:
    """A content stream that writes lines."""
    return b"BT /F1 12 Tf 72 720 Td " + b" ".join(b"(%s) Tj 0 -14 Td" % line for line in lines) + b" ET"


@pytest.fixture
def pdf() -> Callable[..., bytes]:
    """`pdf(b"line", b"line")` is a file of one page."""
    return lambda *lines: pages_of(lines_of(*lines))


@pytest.fixture(scope="session")
def hostile_pdfs() -> dict[str, bytes]:
    """Files that would hang or exhaust a reader without limits, by name."""
    catalog, leaf = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Page /Parent 2 0 R >>"
    chain = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % number for number in range(3, 3000)]
    return {
        "stream bomb": pages_of(b" " * 80_000_000),
        "text bomb": pages_of(b"BT /F1 12 Tf " + b"(AAAA) Tj 0 -14 Td " * 600_000 + b"ET"),
        "a million pages": pdf_of([catalog, b"<< /Type /Pages /Kids [] /Count 1000000 >>"]),
        "a million kids": pdf_of(
            [catalog, b"<< /Type /Pages /Kids [" + b"3 0 R " * 10**6 + b"] /Count 1 >>", leaf]
        ),
        "cyclic pages": pdf_of([catalog, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]),
        "deep pages": pdf_of([catalog, *chain, leaf]),
        "nested arrays": pdf_of([b"<< /Type /Catalog /Pages " + b"[" * 10**5 + b"]" * 10**5 + b" >>"]),
        "cut short": pages_of(lines_of(b"text"))[:200],
        "noise": b"%PDF-1.7\n" + bytes(range(256)) * 500,
    }


@pytest.fixture
def encrypted_pdf() -> bytes:
    """A file under a password."""
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >> /ID [<00> <00>] " % (
        b"41" * 32,
        b"42" * 32,
    )
    return pages_of(lines_of(b"secret"), trailer=lock)
