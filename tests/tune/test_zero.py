import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.training import LongContextTraining
from tune.zero import config_of, stale_locks

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "ranks": 2,
    "batch": 2,
    "length": 24,
    "steps": 9,
    "lora": {"rank": 2, "targets": ["q_proj", "v_proj", "down_proj"]},
}
Ask = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def two_ranks(free_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Two processes that train together, and answer to one case after the other."""
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port)}
    environ = (
        os.environ | meeting | {"DS_ACCELERATOR": "cpu", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    )
    log = (tmp_path_factory.mktemp("ranks") / "stderr").open("w+")
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", "import rank_of_two; rank_of_two.main()"],
            cwd=Path(__file__).parent,
            env=environ | {"RANK": rank, "LOCAL_RANK": rank},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        for rank in "01"
    ]

    def ask(case: dict[str, Any]) -> Any:
        for rank in ranks:
            assert rank.stdin
            rank.stdin.write(json.dumps(case) + "\n")
            rank.stdin.flush()
        lines = [rank.stdout.readline() for rank in ranks if rank.stdout]
        assert all(lines), Path(log.name).read_text()[-3000:]
        return json.loads(lines[0])

    yield ask
    for rank in ranks:
        rank.kill()
        rank.wait()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A tiny model, its head tied to the embedding or not; 9 and 3 heads, so two ranks divide neither."""
    from transformers import LlamaConfig, LlamaForCausalLM

    made = {}
    for tied in (True, False):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=61,
            hidden_size=36,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
        )
        made[tied] = tmp_path_factory.mktemp("model") / str(tied)
        LlamaForCausalLM(config).save_pretrained(made[tied])
    return made


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_gradients_are_those_of_one_process(
    two_ranks: Ask, models: dict[bool, Path], zero: int, method: str
) -> None:
    for tied, path in models.items():
        clip = 0.01 if tied == (method == "full") else None
        settings = SETTINGS | {"zero": zero, "method": method, "clip": clip}
        worst = two_ranks({"kind": "compare", "settings": settings, "model": str(path)})
        assert len(worst) == 8
        assert max(worst.values()) <= 1e-5, (tied, worst)


def test_a_training_goes_on_under_another_stage_and_number_of_parts(
    two_ranks: Ask, models: dict[bool, Path], tmp_path: Path
) -> None:
    def learn(first: int, steps: int, before: str, out: str, **settings: Any) -> list[float]:
        case = {
            "settings": SETTINGS | {"method": "full", "accumulate": 2} | settings,
            "model": str(models[True]),
        }
        came_from = str(tmp_path / before) if before else ""
        case |= {
            "kind": "learn",
            "first": first,
            "steps": steps,
            "from": came_from,
            "out": str(tmp_path / out),
        }
        return list(two_ranks(case))

    whole = learn(0, 6, "", "whole")
    parts = [*learn(0, 2, "", "a", zero=1), *learn(2, 1, "a", "b", zero=3, sequence_parallel=2)]
    parts += [*learn(3, 1, "b", "c", zero=2), *learn(4, 2, "c", "d", sequence_parallel=2)]
    assert parts == pytest.approx(whole, rel=1e-6)
    ends = [torch.load(tmp_path / name) for name in ("whole", "d")]
    for name, value in ends[0].items():
        assert torch.allclose(value, ends[1][name], rtol=1e-3, atol=1e-6), name


def test_deepspeed_clips_only_when_asked_to() -> None:
    assert config_of(LongContextTraining(zero=2, clip=None))["gradient_clipping"] == 0.0
    assert config_of(LongContextTraining(zero=2))["gradient_clipping"] == 1.0


def test_the_lock_of_a_killed_build_is_found(tmp_path: Path) -> None:
    for name, age in (("cpu_adam", 3600), ("shm_comm", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
        os.utime(tmp_path / name / "lock", (time.time() - age,) * 2)
    assert stale_locks(tmp_path) == [tmp_path / "cpu_adam" / "lock"]
