"""Which partition a user is in. Pure: knows no file and no keeper."""

import hashlib
from pathlib import Path


def owner_of(user: str) -> str:
    """What stands for a user where the name itself must not: hex, the same everywhere and for ever."""
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()


def partition_of(user: str, partitions: int) -> int:
    """The partition of a user, from 0: the same on every machine and in every version.

    One partition more takes about 1 user in `partitions + 1`, and moves no other.
    """
    return partition_of_owner(owner_of(user), partitions)


def partition_of_owner(owner: str, partitions: int) -> int:
    """`partition_of` for what `owner_of` gave: each partition draws a number, and the highest wins."""
    draws = (hashlib.sha256(f"{owner} {number}".encode()).digest() for number in range(partitions))
    return max(enumerate(draws), key=lambda pair: pair[1])[0]


def keepers_directory(home: Path) -> Path:
    """Where the partitions lie."""
    return home / "keepers"


def directory_of(home: Path, partition: int) -> Path:
    """Where one partition's files lie."""
    return keepers_directory(home) / str(partition)
