import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from actors.compression.counting import ModelCounter
from actors.compression.policy import Policy
from actors.compression.reconstructor import restored
from actors.compression.shortening import Shortener
from actors.messages import InvalidRequest
from configs.reconstruction import ReconstructorTraining
from configs.schema import CompressionSettings, EngineSettings, Settings
from tune import reconstruct
from tune.reconstruct_data import batches
from tune.records import TEST, TRAIN, Question, Record, write

LINE = (
    "The keeper of the lighthouse wrote down in his book that {} ships had passed in the night of the storm. "
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    asked = (Question("How many?", ("one",)),)
    records = [
        Record(str(number), f"d{number}", "text", LINE.format(number) * 2, asked) for number in range(6)
    ]
    write(folder / f"{TRAIN}.jsonl", records[:4])
    write(folder / f"{TEST}.jsonl", records[4:])
    return folder


def settings(data: Path, **more: int) -> ReconstructorTraining:
    told = {"data": (data,), "steps": 8, "rank": 2, "checkpoint_every": 2, "held_out": 2, "words": 30}
    return ReconstructorTraining.model_validate(told | more)


def shortener(model: Path) -> Shortener:
    return Shortener(Policy.default(), ModelCounter(model), CompressionSettings())


def weights(done: reconstruct.Reconstructed) -> dict[str, list[float]]:
    from safetensors.torch import load_file

    return {
        name: value.float().flatten().tolist()
        for name, value in load_file(done.adapter / "adapter_model.safetensors").items()
    }


def test_training_lowers_the_loss_and_tells_what_it_is_worth(tiny: Path, data: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    done = reconstruct.train(
        settings(data, steps=30),
        tiny,
        shortener(tiny),
        tmp_path / "out",
        watch=lambda step, loss: losses.append(loss),
    )
    assert losses[-1] < losses[0] - 0.1
    scores = done.scores
    assert scores["trained"]["bits_per_word"] < scores["untrained"]["bits_per_word"]
    assert set(scores) == {"trained", "untrained", "no kept words"}
    manifest = json.loads((done.adapter / "manifest.json").read_text())
    assert manifest["scores"] == scores
    assert manifest["method"] == "reconstructor"
    assert len(manifest["files"]) == 2


def test_one_that_stopped_goes_on_to_the_same_weights(tiny: Path, data: Path, tmp_path: Path) -> None:
    given = settings(data, held_out=0)
    whole = reconstruct.train(given, tiny, shortener(tiny), tmp_path / "whole")

    class Stopped(Exception):
        pass

    def stop(step: int, loss: float) -> None:
        if step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        reconstruct.train(given, tiny, shortener(tiny), tmp_path / "halves", watch=stop)
    with pytest.raises(InvalidRequest, match="--resume"):
        reconstruct.train(given, tiny, shortener(tiny), tmp_path / "halves")
    other = settings(data, held_out=0, rank=4)
    with pytest.raises(InvalidRequest, match="other settings"):
        reconstruct.train(other, tiny, shortener(tiny), tmp_path / "halves", resume=True)
    resumed = reconstruct.train(given, tiny, shortener(tiny), tmp_path / "halves", resume=True)
    assert resumed.resumed_at == 4
    assert weights(resumed) == weights(whole)
    assert replace(resumed, adapter=whole.adapter, resumed_at=0) == whole


async def test_the_torch_engine_writes_with_what_was_exported(tiny: Path, data: Path, tmp_path: Path) -> None:
    done = reconstruct.train(settings(data, steps=2), tiny, shortener(tiny), tmp_path / "out")
    told = Settings(home=tmp_path, engine=EngineSettings(model=str(tiny), kind="torch", dtype="float32"))
    first = await restored(told, "keeper wrote ships", done.adapter)
    assert isinstance(first, str)
    assert await restored(told, "keeper wrote ships", done.adapter) == first


def test_without_texts_there_is_nothing_to_train_on(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="nothing to train on"):
        reconstruct.train(ReconstructorTraining(), tiny, shortener(tiny), tmp_path / "out")


def test_batches_are_a_function_of_seed_and_number() -> None:
    whole = list(islice(batches(5, 2, 0.3, 0.7, 1, 0), 10))
    later = list(islice(batches(5, 2, 0.3, 0.7, 1, 6), 4))
    assert later == whole[6:]
    assert sorted(number for batch in whole[:5] for number, _ in batch) == sorted([*range(5), *range(5)])
    assert all(0.3 <= budget <= 0.7 for batch in whole for _, budget in batch)


@pytest.mark.model
@pytest.mark.slow
def test_the_small_model_learns_to_restore(model_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    asked = (Question("How many?", ("one",)),)
    lines = [Record(str(n), f"d{n}", "text", LINE.format(n), asked) for n in range(40)]
    write(folder / f"{TRAIN}.jsonl", lines[:30])
    write(folder / f"{TEST}.jsonl", lines[30:])
    done = reconstruct.train(
        settings(folder, steps=12, rank=4), model_dir, shortener(model_dir), tmp_path / "out"
    )
    assert done.scores["trained"]["bits_per_word"] < done.scores["untrained"]["bits_per_word"]
    assert (done.adapter / "adapter_model.safetensors").stat().st_size < 2_000_000
