"""Two processes that write to one partition at once: one does, the other is told who has it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from actors.keeper import Keeper
from actors.memory.records import NewMemory
from actors.messages import Locked
from configs.schema import DocumentSettings

ROOT = Path(__file__).parents[3]
WRITER = """
import asyncio, sys
from pathlib import Path
from actors.keeper import Keeper
from actors.memory.records import NewMemory
from actors.messages import Locked
from configs.schema import DocumentSettings

async def main():
    keeper = Keeper(Path(sys.argv[1]), DocumentSettings(vector_cache=False))
    try:
        await keeper.start()
    except Locked as error:
        print("refused", error.message, flush=True)
        return
    name = sys.argv[3]
    for number in range(int(sys.argv[2])):
        await keeper.remember("u", f"{name}-{number}", [NewMemory(text=f"{name} said {number}")])
        print("stored", flush=True)
    sys.stdin.readline()
    await keeper.close()

asyncio.run(main())
"""


def writer(directory: Path, count: int, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), str(count), name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_of_processes_that_write_at_once_one_is_let_in_and_loses_nothing(tmp_path: Path) -> None:
    racing = [writer(tmp_path, 40, f"writer{number}") for number in range(3)]
    first = [await asyncio.to_thread(process.stdout.readline) for process in racing if process.stdout]
    winner = racing[first.index("stored\n")]
    for process, said in zip(racing, first, strict=True):
        if process is not winner:
            assert (
                said
                == f"refused {tmp_path} is open in process {winner.pid}: use that server, or stop it first\n"
            )
    keeper = Keeper(tmp_path, DocumentSettings(vector_cache=False))
    with pytest.raises(Locked, match=f"process {winner.pid}"):
        await keeper.start()
    assert winner.stdin
    assert winner.stdout
    winner.stdin.write("\n")
    winner.stdin.flush()
    assert winner.stdout.read().count("stored") == 39
    for process in racing:
        process.communicate()
    await keeper.start()
    page = await keeper.list_memories("u")
    name = page.memories[0].text.split()[0]
    assert [one.text for one in page.memories] == [f"{name} said {number}" for number in reversed(range(40))]
    await keeper.remember("u", "after", [NewMemory(text="and then")])
    await keeper.close()
