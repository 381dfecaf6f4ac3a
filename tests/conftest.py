"""Fixtures that every floor shares: a home for each test, Ray, and the models where they are on disk."""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cluster.runtime import Ray

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
_REAL_HOME = os.environ.get("PAL_HOME")
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nBe helpful.<|im_end|>\n{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("PAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several workers one has all that starts Ray, so that it starts once; a file stays on one."""
    for item in items:
        together = "ray" if item.get_closest_marker("ray") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(together))


def _pulled(alias: str) -> Path:
    from actors.messages import NotReady
    from actors.models.store import ModelStore
    from configs.load import load

    environ = {"PAL_HOME": _REAL_HOME} if _REAL_HOME else {}
    try:
        return ModelStore(load(environ=environ).settings).resolve(alias)
    except NotReady as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """Directory of the small language model; skips where it is not pulled."""
    return _pulled("smollm2-135m")


@pytest.fixture(scope="session")
def embedder_dir() -> Path:
    """Directory of the embedding model; skips where it is not pulled."""
    return _pulled("minilm-l6")


@pytest.fixture
def make_adapter(tmp_path: Path) -> Callable[..., Path]:
    """Builds the directory of a small adapter, as it is exported: `make_adapter(seed=1, events=["e-1"])`."""

    def make(seed: int = 0, **manifest: Any) -> Path:
        import numpy as np
        from safetensors.numpy import save_file

        folder = tmp_path / f"adapter-{len(list(tmp_path.glob('adapter-*')))}"
        folder.mkdir()
        module = "base_model.model.model.layers.0.self_attn.q_proj"
        random = np.random.default_rng(seed)
        shapes = {"lora_A": (2, 8), "lora_B": (8, 2)}
        weights = {
            f"{module}.{half}.weight": random.normal(size=shape).astype(np.float32)
            for half, shape in shapes.items()
        }
        save_file(weights, folder / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        told = {
            "version": f"made-{seed}",
            "base_model": "smollm2-135m",
            "base_model_hash": None,
            "parent": None,
            "created_at": 1.0,
            "method": "made",
            "events": [],
            "scores": {"recall": 0.5},
            "verdict": {},
            "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()},
        }
        (folder / "manifest.json").write_text(json.dumps({**told, **manifest}))
        return folder

    return make


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return _free_port()


@pytest.fixture(scope="session")
def ray_runtime(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Ray]":
    """One Ray for the whole run."""
    from cluster.runtime import ray_runtime as runtime
    from configs.schema import ClusterSettings, Settings

    settings = Settings(
        home=tmp_path_factory.mktemp("ray-home"),
        cluster=ClusterSettings(num_cpus=4, dashboard_port=_free_port()),
    )
    with runtime(settings) as running:
        yield running


@pytest.fixture(scope="session")
def tiny_tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer with SmolLM2's kind of chat template, made on the spot."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(["the cat sat on the mat and the user said hello"] * 4, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", bos_token="<|im_start|>", chat_template=TEMPLATE
    )
    path = tmp_path_factory.mktemp("tiny")
    fast.save_pretrained(str(path))
    return path


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer_dir: Path) -> Path:
    """A tiny random Llama."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.4,
        eos_token_id=2,
        bos_token_id=1,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(str(tiny_tokenizer_dir))
    return tiny_tokenizer_dir
