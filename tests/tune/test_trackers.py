"""Every tracker holds the figures that the trial's JSON lines hold, read back from its own files."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tune.trials import Run, carry_out, lines_of

Told = dict[int, dict[str, float]]
"""Figures by step."""
BLOCK, WHOLE, LAST = 32768, 1, 4


def told(folder: Path, **tracking: Any) -> tuple[Path, Told]:
    """A trial's directory, and its figures as its JSON lines have them."""
    run = Run(
        folder=folder / "demo-0000-s0",
        number=0,
        seed=0,
        role="search",
        arm="#0",
        objective="branin",
        values={},
        settings={"steps": 3, "noise": 0.5},
        goals=("value",),
        experiment="demo",
        config_hash="x",
        tracking=tracking,
    )
    run.write()
    assert carry_out(run, lambda *_: True) is not None
    lines = lines_of(run.folder)
    return run.folder, {line.pop("step"): line for line in lines}


def same(found: Told, lines: Told, accuracy: float = 1e-12) -> None:
    assert found.keys() == lines.keys()
    for step, figures in lines.items():
        assert {key: found[step][key] for key in figures} == pytest.approx(figures, rel=accuracy)


def test_tensorboard(tmp_path: Path) -> None:
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    folder, lines = told(tmp_path, tensorboard=True)
    found: Told = {}
    for path in (folder / "tensorboard").glob("events.*"):
        for record in tf_records(path.read_bytes()):
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                found.setdefault(event.step, {})[value.tag] = value.simple_value
    same(found, lines, 1e-6)


@pytest.mark.slow
def test_weights_and_biases_without_its_service(tmp_path: Path) -> None:
    wandb_internal_pb2 = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    folder, lines = told(tmp_path, wandb="offline")
    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    found: Told = {}
    for record in wandb_records(path.read_bytes()):
        items = wandb_internal_pb2.Record.FromString(record).history.item
        row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
        if row:
            found[int(row["_step"])] = row
    same(found, lines)


def test_mlflow(tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking", reason="its extra is not installed: palimpsest[mlflow]")
    folder, lines = told(tmp_path, mlflow="local")
    client = tracking.MlflowClient((folder / "mlruns").as_uri())
    (experiment,) = [one for one in client.search_experiments() if one.name == "palimpsest"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == folder.name
    found: Told = {}
    for name in lines[1]:
        for metric in client.get_metric_history(run.info.run_id, name):
            found.setdefault(metric.step, {})[name] = metric.value
    same(found, lines)


def tf_records(content: bytes) -> Iterator[bytes]:
    """Each is its length, a checksum, itself and a checksum."""
    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield content[at + 12 : at + 12 + length]
        at += 16 + length


def wandb_records(content: bytes) -> Iterator[bytes]:
    """A header, then blocks of records in LevelDB's log format, which may be cut at a block's end."""
    at, begun = 7, b""
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
        length, kind = struct.unpack_from("<HB", content, at + 4)
        begun += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (WHOLE, LAST):
            yield begun
            begun = b""
