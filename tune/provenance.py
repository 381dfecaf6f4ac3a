"""What a figure was measured with: machine, versions, commit. Knows no figure."""

import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("palimpsest", "torch", "transformers", "peft", "ray", "optuna", "numpy")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where and with what something ran."""

    hardware: dict[str, str | float]
    versions: dict[str, str]
    git_commit: str | None
    """With `+` where files differ from it; None where this is no checkout."""


@cache
def provenance() -> Provenance:
    """Of this process."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    hardware: dict[str, str | float] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "gpus": gpus,
        "system": f"{platform.system()} {platform.machine()}",
    }
    return Provenance(hardware, versions, _commit())


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if told.is_file():
        for line in told.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    commit = _git("rev-parse", "HEAD")
    changed = commit and _git("status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if changed else commit or None


def _git(*arguments: str) -> str:
    try:
        found = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=10
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
