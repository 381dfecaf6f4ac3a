"""Reads a user's own documents and memories through the keeper of the state directory, as texts to learn."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from actors.keeper import Keeper
from actors.memory.partitions import directory_of, partition_of
from actors.messages import InvalidRequest, Json
from configs.schema import DocumentSettings
from tune.documents import Text

PAGE = 1000
T = TypeVar("T")


def documents(home: Path, partitions: int, user: str) -> list[Text]:
    """The texts of a user's files. Raises Locked while a server has them open."""

    async def read(keeper: Keeper) -> list[Text]:
        files = await keeper.list_files(user, order="asc")
        texts = [(file.filename, await keeper.file_text(user, file.id)) for file in files]
        return [Text(name, iter((text,))) for name, text in texts if text.strip()]

    return _read(home, partitions, user, read)


def episodes(home: Path, partitions: int, user: str) -> list[Text]:
    """A user's memories, those of a session together, as they were told. Raises Locked, as `documents`."""

    async def read(keeper: Keeper) -> list[Json]:
        records: list[Json] = []
        while page := await keeper.export_memories(
            user, after=records[-1]["row"] if records else 0, limit=PAGE
        ):
            records += page
        return records

    return told(_read(home, partitions, user, read))


def learnable(home: Path, partitions: int, user: str, take: Callable[[Json], None]) -> None:
    """Hand over all of a user that could be learned from, record by record. Raises Locked, as `documents`."""

    async def read(keeper: Keeper) -> None:
        after = ""
        while page := await keeper.learnable(user, after=after):
            for record in page:
                take(record)
            after = page[-1]["cursor"]

    _read(home, partitions, user, read)


def told(records: Iterable[Json]) -> list[Text]:
    """Exported memories as texts: those of one session together, each line with who said it."""
    sessions: dict[str, list[str]] = {}
    for record in records:
        if record["merged_into"] is None:
            who = record["speaker"] or record["role"]
            line = f"{who}: {record['text']}" if who else record["text"]
            sessions.setdefault(record["session"] or record["id"], []).append(line)
    return [Text(name, iter(("\n".join(lines),))) for name, lines in sessions.items()]


def _read(home: Path, partitions: int, user: str, read: Callable[[Keeper], Awaitable[T]]) -> T:
    """What `read` gets of the keeper that has the user. Raises InvalidRequest where nothing is kept."""
    directory = directory_of(home, partition_of(user, partitions))
    if not directory.is_dir():
        raise InvalidRequest(f"nothing is kept in {home}: PAL_HOME names another state directory")

    async def opened() -> T:
        keeper = Keeper(directory, DocumentSettings(vector_cache=False))
        await keeper.start()
        try:
            return await read(keeper)
        finally:
            await keeper.close()

    return asyncio.run(opened())
