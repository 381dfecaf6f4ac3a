import asyncio
from typing import Any

import pytest

from actors.messages import TooLarge, Unprocessable
from actors.readers.process import read_file
from configs.schema import DocumentSettings

TIGHT = DocumentSettings(parse_timeout_s=3, parse_memory_mib=256, max_characters=100_000, max_pages=100)


async def test_a_document_is_its_text_type_and_hash(pdf) -> None:
    content = pdf(b"The harbour opens.")
    document = await read_file("docs/a.pdf", content, TIGHT)
    assert document.text == "The harbour opens."
    assert document.media_type == "application/pdf"
    assert document.content == content
    assert len(document.sha256) == 64


async def test_a_large_text_goes_through_the_pipes_whole() -> None:
    text = "harbour größe\n" * 7000
    assert (await read_file("a.txt", text.encode(), TIGHT)).text == text


async def test_hostile_pdfs_are_refused_within_bounds(hostile_pdfs) -> None:
    reading = (read_file(f"{name}.pdf", content, TIGHT) for name, content in hostile_pdfs.items())
    answers = await asyncio.gather(*reading, return_exceptions=True)
    for name, answer in zip(hostile_pdfs, answers, strict=True):
        assert isinstance(answer, TooLarge | Unprocessable), name
        assert f"{name}.pdf" in answer.message


async def test_hostile_pages_are_refused_within_bounds() -> None:
    for content in (b"<div>" * 10**6, b"<p>a" * 3_000_000):
        with pytest.raises((TooLarge, Unprocessable)):
            await read_file("x.html", content, TIGHT)


async def test_a_password_is_said_to_be_the_reason(encrypted_pdf) -> None:
    with pytest.raises(Unprocessable, match=r"x\.pdf: the PDF is under a password"):
        await read_file("x.pdf", encrypted_pdf, TIGHT)


async def test_the_reader_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    from actors.readers.process import _environment

    monkeypatch.setenv("PAL_API_KEYS", "secret")
    assert "secret" not in str(_environment())


async def test_a_caller_who_leaves_takes_the_process_along(monkeypatch: pytest.MonkeyPatch) -> None:
    started: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
    create = asyncio.create_subprocess_exec

    async def noted(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await create(*arguments, **options)
        started.put_nowait(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    reading = asyncio.create_task(read_file("x.html", b"<div>" * 10**6, TIGHT))
    process = await started.get()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert process.returncode is not None
