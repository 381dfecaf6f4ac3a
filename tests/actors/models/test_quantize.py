import copy
import gc
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from actors.messages import InvalidRequest
from actors.models import quantize
from actors.models.quantize import Int4Linear, Int8Linear, Kind, quantize_, weight_bytes

KINDS: tuple[Kind, ...] = ("int8", "int4")
ERROR = {"int8": 0.02, "int4": 0.12}
BITS = {"int8": 8.2, "int4": 5.1}


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def model() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=160,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        attention_bias=True,
        tie_word_embeddings=True,
    )
    made: nn.Module = LlamaForCausalLM(config).eval()
    return made


def linear(inputs: int, outputs: int, bias: bool = False) -> nn.Sequential:
    torch.manual_seed(inputs + outputs)
    return nn.Sequential(nn.Linear(inputs, outputs, bias=bias))


def error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 9, 70])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 192), (96, 160)])
def test_a_layer_computes_nearly_what_it_did(
    kind: Kind, dtype: torch.dtype, rows: int, inputs: int, outputs: int
) -> None:
    module = linear(inputs, outputs, bias=True).to(dtype)
    x = torch.randn(2, rows, inputs).to(dtype)
    wanted = module(x)
    assert quantize_(module, kind).converted == 1
    got = module(x)
    assert got.shape == wanted.shape
    assert got.dtype == dtype
    assert error(got, wanted) < ERROR[kind]


def test_4_bits_give_the_same_by_kernel_and_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    module = linear(64, 128)
    quantize_(module, "int4")
    x = torch.randn(quantize.MANY_ROWS, 64).bfloat16().float()
    unpacked = module(x)
    monkeypatch.setattr(quantize, "cpu_tiles_are_known", lambda: False)
    assert error(module(x), unpacked) < 0.01


def test_8_bits_work_on_a_cpu_without_such_products(monkeypatch: pytest.MonkeyPatch) -> None:
    module = linear(64, 128)
    x = torch.randn(40, 64)
    wanted = module(x)
    quantize_(module, "int8")
    monkeypatch.setattr(quantize, "cpu_multiplies_int8", lambda: False)
    assert error(module(x), wanted) < ERROR["int8"]
    assert error(module(x[:3]), wanted[:3]) < ERROR["int8"]


def test_a_rows_result_does_not_depend_on_the_rows_beside_it() -> None:
    module = linear(64, 128)
    x = torch.randn(40, 64)
    x[7] *= 100
    integers, scale = quantize.to_int8(module[0].weight)
    product = quantize.digits_by_int8(x, integers, scale)
    assert error(product, x @ (integers * scale[:, None]).T) < 1e-4
    for row in (0, 7, 39):
        alone = quantize.digits_by_int8(x[row : row + 1], integers, scale)
        assert torch.equal(alone[0], product[row])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_shrink_to_their_bits(kind: Kind) -> None:
    module = linear(256, 512)
    assert weight_bytes(module) == 4 * 256 * 512
    quantize_(module, kind)
    assert weight_bytes(module) * 8 <= BITS[kind] * 256 * 512


def test_bytes_of_a_shared_tensor_count_once(model: nn.Module) -> None:
    unique = {id(one): one.numel() * 4 for one in model.parameters()}
    buffers = sum(one.numel() * one.itemsize for one in model.buffers())
    assert weight_bytes(model) <= sum(unique.values()) + buffers
    assert weight_bytes(model) >= sum(unique.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_keeps_its_tied_head_and_its_embedding(model: nn.Module, kind: Kind) -> None:
    tokens = torch.arange(40)[None]
    wanted = model(tokens).logits
    before = weight_bytes(model)
    report = quantize_(model, kind)
    assert report.converted == 2 * 7
    assert list(report.kept) == ["lm_head"]
    assert "shares its weight" in report.kept["lm_head"]
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert weight_bytes(model) < before / 2
    assert error(model(tokens).logits, wanted) < 5 * ERROR[kind]


def test_an_untied_head_takes_8_bits_in_either_kind(model: nn.Module) -> None:
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())
    assert not quantize_(model, "int4").kept
    assert isinstance(model.lm_head, Int8Linear)
    assert isinstance(model.model.layers[0].mlp.up_proj, Int4Linear)


def test_a_layer_whose_sizes_do_not_fit_stays_and_is_named() -> None:
    module = nn.ModuleDict({"fits": nn.Linear(64, 32), "odd": nn.Linear(48, 64)})
    odd = module["odd"]
    report = quantize_(module, "int8")
    assert report.converted == 1
    assert report.kept == {"odd": "sizes 48 and 64 are not both divisible by 32"}
    assert module["odd"] is odd
    assert isinstance(module["fits"], Int8Linear)


def test_a_second_call_changes_nothing() -> None:
    module = linear(64, 64)
    quantize_(module, "int8")
    assert quantize_(module, "int4").converted == 0
    assert isinstance(module[0], Int8Linear)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_delta_is_added_beside_it(kind: Kind) -> None:
    module = linear(64, 128)
    down_AI, up_OA = torch.randn(8, 64), torch.randn(128, 8)
    x = torch.randn(5, 64)
    delta = x @ down_AI.T @ up_OA.T
    wanted = module(x) + delta
    quantize_(module, kind)
    assert (module[0].in_features, module[0].out_features) == (64, 128)
    assert error(module(x) + delta, wanted) < ERROR[kind]


def test_each_full_weight_goes_before_the_next_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Sequential(*(nn.Linear(64, 64) for _ in range(4)))
    full = [weakref.ref(layer) for layer in module]
    alive: list[int] = []
    to_int8 = quantize.to_int8

    def watched(weight_OI: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gc.collect()
        alive.append(sum(one() is not None for one in full))
        return to_int8(weight_OI)

    monkeypatch.setattr(quantize, "to_int8", watched)
    quantize_(module, "int8")
    assert alive == [4, 3, 2, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_zero_weights_and_zero_inputs_give_zeros(kind: Kind) -> None:
    module = linear(64, 64)
    module[0].weight.zero_()
    quantize_(module, kind)
    assert not module(torch.randn(3, 64)).any()
    other = linear(64, 64)
    quantize_(other, kind)
    assert not other(torch.zeros(3, 64)).any()
    assert other(torch.zeros(0, 64)).shape == (0, 64)


def test_what_cannot_be_converted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="pass the module that holds it"):
        quantize_(nn.Linear(64, 64), "int8")
    with pytest.raises(InvalidRequest, match="once they are loaded"):
        quantize_(nn.Sequential(nn.Linear(64, 64, device="meta")), "int8")
    monkeypatch.setattr(quantize, "INT4_DEVICES", ("mps",))
    with pytest.raises(InvalidRequest, match=r"not on cpu; engine\.quantize: int8 does"):
        quantize_(linear(64, 64), "int4")


def test_a_converted_module_can_be_copied_and_its_state_loaded() -> None:
    module = linear(64, 64)
    quantize_(module, "int8")
    twin = copy.deepcopy(module)
    twin.load_state_dict(module.state_dict())
    x = torch.randn(3, 64)
    assert torch.equal(twin(x), module(x))
