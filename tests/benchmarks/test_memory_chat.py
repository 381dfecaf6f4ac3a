import os
from pathlib import Path

from benchmarks.memory_chat import FACTS, run
from configs.schema import Settings


def test_a_killed_server_still_knows_what_it_was_told_and_tells_no_one_else(tmp_path: Path) -> None:
    assert "PAL_API_KEYS" not in os.environ
    (tmp_path / "models").mkdir()
    asked = run(Settings(home=tmp_path), "scripted", 2)
    assert [one.question for one in asked] == [question for _, question, _ in FACTS[:2]]
    assert all(one.recalled for one in asked)
    assert not any(one.leaked or one.unaided for one in asked)
