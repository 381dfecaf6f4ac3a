import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.messages import InvalidRequest
from configs.training import LongContextTraining
from tune import plan as planning
from tune.footprint import footprint, read_model, total
from tune.plan import GIB, check, flops, longest, plan


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    config = {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def settings(**told: Any) -> LongContextTraining:
    plain = {"method": "full", "checkpointing": False, "loss_chunk": 0, "length": 4096}
    return LongContextTraining.model_validate({**plain, **told})


def test_the_longest_sequence_fits_and_no_longer_one(path: Path) -> None:
    model = read_model(path)
    for told in (settings(), settings(checkpointing=True, ranks=4, sequence_parallel=4)):
        most = longest(model, told, 4 * GIB)
        step = told.sequence_parallel
        assert most % step == 0
        assert total(footprint(model, told, most)) <= 4 * GIB < total(footprint(model, told, most + step))
    assert longest(model, settings(), GIB) == 0


def test_a_training_that_cannot_fit_is_refused_with_what_would(path: Path) -> None:
    check(settings(length=512), path, memory=4 * GIB)
    with pytest.raises(InvalidRequest) as refused:
        check(settings(), path, memory=4 * GIB)
    said = refused.value.message
    assert "sequences of 4,096 tokens need" in said
    assert "and there are 4.00 GiB" in said
    assert "checkpointing: true, loss_chunk: 256" in said
    most = longest(read_model(path), settings(), 4 * GIB)
    assert f"length: {most}, the longest that fits as it is" in said


def test_every_cure_that_is_named_cures(path: Path) -> None:
    model = read_model(path)
    for told, memory in (
        (settings(batch=4), 4.0),
        (settings(checkpointing=True, loss_chunk=256), 2.5),
        (settings(length=32768, checkpointing=True, loss_chunk=256, method="lora"), 4.0),
    ):
        given = int(memory * GIB)
        assert total(footprint(model, told, told.length)) > given
        found = list(planning.cures(model, told, told.length, given))
        assert found
        assert all(size <= given for _, size in found)
    assert any("sequence_parallel: 2, ranks: 2" in name for name, _ in found)
    with pytest.raises(InvalidRequest, match="nothing here would make it fit"):
        check(settings(), path, memory=GIB // 2)


def test_work_is_six_a_weight_and_token_and_more_where_it_is_done_again(path: Path) -> None:
    model = read_model(path)
    short = flops(model, settings(), 64) / (6 * model.parameters * 64)
    assert short == pytest.approx(1, rel=0.02)
    again = flops(model, settings(checkpointing=True, loss_chunk=256), 64)
    assert again / flops(model, settings(), 64) == pytest.approx(4 / 3, rel=0.01)
    assert flops(model, settings(method="lora"), 64) < flops(model, settings(), 64)
    grown = flops(model, settings(), 65536) / flops(model, settings(), 32768)
    assert 2.5 < grown < 4
    assert flops(model, settings(batch=2, accumulate=3), 64) == 6 * flops(model, settings(), 64)


def test_a_plan_says_all_of_it(path: Path) -> None:
    found = plan(settings(steps=10, batch=2), path, memory=64 * GIB, rate=1e11)
    assert found.fits
    assert found.peak == sum(found.parts.values())
    assert found.tokens == 2 * 4096
    assert found.total_s == pytest.approx(10 * found.step_s)
    assert plan(settings(), path, memory=GIB, rate=1e11, length=16).length == 16
    two = settings(batch=2, ranks=2)
    assert plan(two, path, memory=GIB, rate=1e11).step_s == pytest.approx(found.step_s / 2)


def test_this_machine_is_asked_where_nothing_is_told(path: Path) -> None:
    assert 0 < planning.free(2) <= planning.free(1)
    assert planning.probe(0.01) > 1e6
    with pytest.raises(InvalidRequest, match="need"):
        check(settings(length=1 << 23), path)
    check(settings(length=1 << 23, device="cuda"), path)


def test_it_needs_no_torch() -> None:
    call = "import sys, tune.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", call], check=False).returncode == 0
