from pathlib import Path

import pytest

from actors.memory.database import connect
from actors.memory.migrations import MIGRATIONS, migrate
from actors.messages import InvalidRequest


def test_every_step_is_taken_once(tmp_path: Path) -> None:
    connection = connect(tmp_path)
    migrate(connection)
    migrate(connection)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert connection.execute("SELECT count(*) FROM facts WHERE name = 'identity'").fetchone()[0] == 1
    connection.close()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    connection = connect(tmp_path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(InvalidRequest, match="newer program"):
        migrate(connection)
    connection.close()
