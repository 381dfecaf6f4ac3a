"""The cache's files, with the real Chroma: they hold what was put, and no other memory of this process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.memory.index import BATCH, VectorIndex

MARK = b"deleted text of another user... "


@pytest.fixture
def index(tmp_path: Path) -> Iterator[VectorIndex]:
    opened = VectorIndex(tmp_path / "vectors")
    opened.open("identity")
    opened.seal("identity")
    yield opened
    opened.close()


def leave_in_memory() -> None:
    """Freed memory of every size that a new index may be given, full of the mark."""
    for _ in range(20):
        del [bytearray(MARK * (size // len(MARK))) for size in range(10_000, 60_000, 1_000)][:]


def under(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*.bin"))


def test_a_begun_index_holds_no_memory_of_this_process(
    tmp_path: Path, index: VectorIndex, vectors_of: Any
) -> None:
    for user in range(1, 9):
        leave_in_memory()
        index.put(user, [1, 2], vectors_of(2, user))
        index.remove(user, [2])
    begun = list((tmp_path / "vectors").glob("*/data_level0.bin"))
    assert len(begun) == 8
    assert all(path.stat().st_size for path in begun)
    assert not any(b"".join(path.read_bytes() for path in begun))
    assert index.ids() == {user: {1} for user in range(1, 9)}


@pytest.mark.parametrize("first", ["put", "propose", "ids"])
def test_an_index_begun_again_after_a_restart_holds_none_either(
    tmp_path: Path, index: VectorIndex, vectors_of: Any, first: str
) -> None:
    for user in range(1, 9):
        index.put(user, [1, 2], vectors_of(2, user))
    index.close()
    (begun, *_) = (tmp_path / "vectors").glob("*/data_level0.bin")
    begun.write_bytes(MARK * 100)
    index.seal("identity")
    assert index.open("identity")
    for user in range(1, 9):
        leave_in_memory()
        if first == "put":
            index.put(user, [3], vectors_of(1, user))
        elif first == "propose":
            assert index.propose(user, vectors_of(2, user)[1], 1) == [2]
        else:
            assert index.ids()[user] == {1, 2}
    for path in (tmp_path / "vectors").glob("*/data_level0.bin"):
        assert not any(path.read_bytes())


def test_a_written_index_is_left_as_it_is(tmp_path: Path, index: VectorIndex, vectors_of: Any) -> None:
    vectors = vectors_of(BATCH + 500, 1)
    index.put(1, range(1, BATCH + 501), vectors)
    index.remove(1, [7])
    index.close()
    assert vectors[3].tobytes() in under(tmp_path / "vectors")
    assert index.open("identity")
    near = [index.propose(1, vector, 1) for vector in vectors[[3, 2200]]]
    assert near == [[4], [2201]]
    assert len(index.ids()[1]) == BATCH + 499


def test_its_seal_lasts_through_questions_and_restarts(index: VectorIndex, vectors_of: Any) -> None:
    vectors = vectors_of(1200, 1)
    for first, last in ((0, 10), (10, 1200)):
        index.put(1, range(first, last), vectors[first:last])
        index.propose(1, vectors[0], 5)
    index.remove(1, [3])
    index.close()
    assert index.open("identity")
    assert index.propose(1, vectors[7], 1) == [7]
    index.close()
    assert index.open("identity")


@pytest.mark.parametrize("name", ["chroma.sqlite3", "header.bin", "link_lists.bin", "index_metadata.pickle"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_torn_file_is_not_given_to_chroma(
    tmp_path: Path, index: VectorIndex, vectors_of: Any, name: str, cut: bool
) -> None:
    index.put(1, range(1200), vectors_of(1200, 1))
    index.close()
    (torn,) = (tmp_path / "vectors").rglob(name)
    content = torn.read_bytes()
    torn.write_bytes(
        content[: len(content) // 2] + (b"" if cut else b"x" * (len(content) - len(content) // 2))
    )
    assert not index.open("identity")
    assert index.ids() == {}


def test_while_chroma_writes_there_is_no_seal(tmp_path: Path, index: VectorIndex, vectors_of: Any) -> None:
    class Ended(BaseException):
        """As if the process were killed."""

    seal = tmp_path / "vectors" / "filled-from.json"

    class Dying:
        def upsert(self, **_: Any) -> None:
            assert not seal.exists()
            raise Ended

    index.put(1, [1], vectors_of(1))
    assert seal.exists()
    index._collections["user-1"] = Dying()
    with pytest.raises(Ended):
        index.put(1, [2], vectors_of(1))
    assert not seal.exists()
