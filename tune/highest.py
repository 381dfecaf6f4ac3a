"""The most memory that this process has held since it was last forgotten. Knows no training."""

from pathlib import Path

import psutil

FORGET = Path("/proc/self/clear_refs")
HIGHEST = Path("/proc/self/status")


def highest_bytes() -> int:
    """The most since `forget`; what it holds now where the system does not tell (macOS)."""
    if HIGHEST.is_file():
        line = next(line for line in HIGHEST.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


def forget() -> None:
    """Count from what is held now."""
    if FORGET.is_file():
        FORGET.write_text("5")
