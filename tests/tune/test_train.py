import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actors.engines.adapter import check_adapter
from actors.learner import rate_at
from actors.messages import InvalidRequest, PalError
from actors.spawn import stop
from configs.training import LongContextTraining
from tune import checkpoints, ranks
from tune.data import Batch
from tune.shares import Seat, check, count, share_of, targets_of
from tune.train import Figures, Plan


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stories") / "stories.txt"
    path.write_text(
        "\n\n".join(f"The keeper wrote that {n} ships had passed. " * (n % 5 + 1) for n in range(60))
    )
    return path


def plan(tiny: Path, stories: Path, folder: Path, **given: Any) -> Plan:
    tree: dict[str, Any] = {
        "model": str(tiny),
        "data": [{"kind": "text", "path": str(stories)}],
        "length": 64,
        "batch": 2,
        "steps": 6,
        "rate": 1e-2,
        "warmup": 2,
        "lora": {"rank": 2},
        "loss_chunk": 16,
        "checkpoint_every": 2,
        "keep": 5,
        "threads": 1,
    }
    settings = LongContextTraining.model_validate(tree | given)
    return Plan(settings=settings, model=tiny, folder=folder, home=folder.parent / "home")


class Trained:
    """One training in this process, and what it told."""

    def __init__(self, told: Plan, *, resume: bool = False) -> None:
        self.figures: list[Figures] = []
        self.notes: list[str] = []
        run = ranks.run(
            told, resume=resume, on_cluster=False, watch=self.figures.append, note=self.notes.append
        )
        self.done = asyncio.run(run)
        self.losses = [one["loss"] for one in self.figures]


@pytest.fixture(scope="module")
def whole(tiny: Path, stories: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    """A training that nothing interrupted, and its folder."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    more = {"eval_data": [{"kind": "text", "path": str(stories)}], "eval_batches": 2}
    return Trained(plan(tiny, stories, folder, **more)), folder


def test_it_learns_writes_figures_and_an_adapter(whole: tuple[Trained, Path]) -> None:
    trained, folder = whole
    assert len(trained.losses) == 6
    assert trained.losses[-1] < trained.losses[0]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == trained.figures
    assert {"loss", "tokens_per_s", "memory_gib", "lr", "grad_norm", "eta_s"} <= lines[0].keys()
    assert lines[-1]["eval_loss"] < trained.losses[0]
    manifest = json.loads((folder / "adapter" / "manifest.json").read_text())
    assert manifest["method"] == "long-context"
    assert set(manifest["files"]) == {"adapter_config.json", "adapter_model.safetensors"}
    assert sorted(path.name for path in checkpoints.of(folder / "checkpoints")) == [
        "00000002",
        "00000004",
        "00000006",
    ]


def interrupted(whole: tuple[Trained, Path], folder: Path, after: int) -> Path:
    """The folder as if the training had died after some steps."""
    shutil.copytree(whole[1], folder)
    shutil.rmtree(folder / "adapter")
    for path in checkpoints.of(folder / "checkpoints"):
        if int(path.name) > after:
            shutil.rmtree(path)
    return folder


def test_resumed_it_is_as_if_it_had_never_stopped(
    whole: tuple[Trained, Path], tiny: Path, stories: Path, tmp_path: Path
) -> None:
    folder = interrupted(whole, tmp_path / "run", 4)
    truncated = folder / "checkpoints" / "00000004" / "state.safetensors"
    truncated.write_bytes(truncated.read_bytes()[:-100])
    again = Trained(plan(tiny, stories, folder, loss_chunk=0, checkpointing=False, keep=1), resume=True)
    assert again.done.resumed_at == 2
    assert "checkpoint 00000004 is passed over: state.safetensors is not as long" in again.notes[0]
    assert again.losses == pytest.approx(whole[0].losses[2:], rel=1e-6)
    lines = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == pytest.approx(whole[0].losses, rel=1e-6)
    assert [path.name for path in checkpoints.of(folder / "checkpoints")] == ["00000006"]


def test_a_folder_of_another_training_is_refused(
    whole: tuple[Trained, Path], tiny: Path, stories: Path
) -> None:
    with pytest.raises(InvalidRequest, match="--resume"):
        Trained(plan(tiny, stories, whole[1]))
    with pytest.raises(InvalidRequest, match=r"begun with another .*rate"):
        Trained(plan(tiny, stories, whole[1], rate=1.0), resume=True)


def test_what_is_not_finite_ends_it_by_name_and_leaves_checkpoints_whole(
    tiny: Path, stories: Path, tmp_path: Path
) -> None:
    told = plan(tiny, stories, tmp_path / "run", rate=1e30, clip=None, warmup=0, checkpoint_every=1)
    with pytest.raises(PalError, match=r"the (loss|gradient) of step \d .*stories\.txt.* is (nan|inf)"):
        Trained(told)
    assert checkpoints.newest(tmp_path / "run" / "checkpoints", print) is not None


def test_all_weights_become_a_model_directory(tiny: Path, stories: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    told = plan(
        tiny,
        stories,
        tmp_path / "run",
        method="full",
        precision="bfloat16",
        accumulate=2,
        steps=3,
        curriculum=[{"length": 16, "steps": 1}],
    )
    trained = Trained(told)
    assert [one["length"] for one in trained.figures] == [16, 64, 64]
    model = AutoModelForCausalLM.from_pretrained(trained.done.result)
    before = AutoModelForCausalLM.from_pretrained(tiny)
    assert model.dtype == before.dtype
    assert not torch.equal(model.lm_head.weight, before.lm_head.weight)
    assert AutoTokenizer.from_pretrained(trained.done.result)("ships")["input_ids"]


def test_an_adapter_of_an_extended_context_comes_with_the_whole_model_and_is_not_loaded_alone(
    tiny: Path, stories: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    rope = {"method": "yarn", "reach": 8192}
    result = Trained(plan(tiny, stories, tmp_path / "run", steps=2, rope=rope)).done.result
    with pytest.raises(InvalidRequest, match="serve the directory `model`"):
        check_adapter(result)
    model = AutoModelForCausalLM.from_pretrained(result.with_name("model"))
    before = AutoModelForCausalLM.from_pretrained(tiny)
    assert model.config.rope_parameters["rope_type"] == "yarn"
    assert model.config.max_position_embeddings == 8192
    assert not torch.equal(
        model.model.layers[0].mlp.up_proj.weight, before.model.layers[0].mlp.up_proj.weight
    )


def test_a_full_disk_is_named_and_what_was_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {"w": (2, 3)}
    state = [(f"{kind}/w", torch.ones(2, 3)) for kind in checkpoints.KINDS]
    with checkpoints.Checkpoints(tmp_path, 2, shapes) as saver:
        saver.save(1, {"number": 1}, state)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_manifest", full)
    with pytest.raises(PalError, match=r"disk .* is full: the checkpoint of step 2"):  # noqa: SIM117
        with checkpoints.Checkpoints(tmp_path, 2, shapes) as saver:
            saver.save(2, {"number": 2}, state)
    found = checkpoints.newest(tmp_path, print)
    assert found is not None
    assert found.step == 1
    with found.reader() as read:
        assert torch.equal(read("exp_avg/w"), torch.ones(2, 3))


def test_where_no_checkpoint_is_whole_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "00000001").mkdir()
    with pytest.raises(InvalidRequest, match=r"no checkpoint .* is whole"):
        checkpoints.newest(tmp_path, print)


def batch(labels: list[list[int]], segments: list[list[int]]) -> Batch:
    found = np.array(labels), np.array(segments)
    return Batch(np.abs(found[0]) % 50, found[0], np.zeros_like(found[0]), found[1])


def test_a_label_outside_the_vocabulary_is_named_with_its_place() -> None:
    with pytest.raises(InvalidRequest, match=r"step 3: label 70 at row 1, position 0 .* vocabulary of 60"):
        check(batch([[1, 2], [70, -100]], [[0, 0], [0, 0]]), 60, "step 3")


def test_no_token_foretells_another_document_and_parts_join_to_the_whole() -> None:
    one = batch([[1, 2, 3, 4, 5, 6, -100]], [[0, 0, 0, 1, 1, 1, -1]])
    targets = targets_of(one)
    assert targets.tolist() == [[2, 3, -100, 5, 6, -100, -100]]
    assert count(targets) == 4
    parts = [share_of(one, targets, Seat(rank, 2, 2)) for rank in range(2)]
    joined = torch.cat([part.targets_B_T for part in parts], dim=1)
    assert joined.tolist() == [[*targets[0].tolist(), -100]]
    assert parts[0].spans == ((0, 0, 3), (0, 3, 6))


def test_the_rate_rises_then_falls_to_a_tenth() -> None:
    settings = LongContextTraining(rate=1.0, warmup=2, steps=12, schedule="linear")
    assert [round(rate_at(settings, step), 2) for step in (0, 1, 2, 7, 11)] == [0.5, 1.0, 1.0, 0.55, 0.19]


@pytest.mark.ray
async def test_ranks_on_ray_start_again_after_one_died_and_one_rank_goes_on_from_theirs(
    ray_runtime: object, tiny: Path, stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[ranks.Rank] = []
    spawn = ranks.on_ray

    def kept(*args: Any, **kwargs: Any) -> ranks.Rank:
        started.append(spawn(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(ranks, "on_ray", kept)
    losses: dict[int, float] = {}
    notes: list[str] = []
    killing: list[asyncio.Task[None]] = []

    def watch(figures: Figures) -> None:
        losses[int(figures["step"])] = figures["loss"]
        if figures["step"] == 2 and not killing:
            killing.append(asyncio.ensure_future(stop(started[1])))

    told = plan(tiny, stories, tmp_path / "two", ranks=2, sequence_parallel=2, device="cpu")
    done = await ranks.run(told, resume=False, on_cluster=True, watch=watch, note=notes.append)
    assert done.restarts == 1, notes
    alone: dict[int, float] = {}
    one = plan(tiny, stories, tmp_path / "one")
    await ranks.run(
        one,
        resume=False,
        on_cluster=False,
        watch=lambda figures: alone.update({int(figures["step"]): figures["loss"]}),
        note=notes.append,
    )
    assert losses == pytest.approx(alone, rel=1e-5)
    assert (done.result / "adapter_model.safetensors").is_file()
    shutil.rmtree(told.folder / "checkpoints" / "00000006")
    fewer: dict[int, float] = {}
    await ranks.run(
        plan(tiny, stories, told.folder),
        resume=True,
        on_cluster=False,
        watch=lambda figures: fewer.update({int(figures["step"]): figures["loss"]}),
        note=notes.append,
    )
    assert fewer == pytest.approx({step: alone[step] for step in (4, 5)}, rel=1e-5)
