from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actors.memory.partitions import directory_of, owner_of, partition_of, partition_of_owner


@given(st.text(), st.integers(1, 40))
def test_a_user_has_one_partition_and_keeps_it_or_moves_to_the_new_one(user: str, partitions: int) -> None:
    before, after = partition_of(user, partitions), partition_of(user, partitions + 1)
    assert 0 <= before < partitions
    assert after in {before, partitions}
    assert partition_of_owner(owner_of(user), partitions) == before


def test_users_spread_evenly() -> None:
    counts = [0] * 8
    for number in range(4000):
        counts[partition_of(f"user-{number}", 8)] += 1
    assert min(counts) > 400
    assert max(counts) < 600


def test_users_stay_where_earlier_versions_put_them() -> None:
    assert [partition_of(user, 16) for user in ("ann", "bob", "default", "Жанна", "\ud800", "")] == [
        13,
        4,
        6,
        11,
        9,
        6,
    ]


def test_directories(tmp_path: Path) -> None:
    assert directory_of(tmp_path, 3) == tmp_path / "keepers" / "3"
