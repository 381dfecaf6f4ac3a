import pytest
import torch

from actors.engines import device as module
from actors.engines.device import cpu_knows_bfloat16, pick_device, pick_dtype


def test_a_set_device_is_taken() -> None:
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("mps", "cuda", "expected"), [(True, True, "mps"), (False, True, "cuda"), (False, False, "cpu")]
)
def test_auto_prefers_mps_then_cuda(
    monkeypatch: pytest.MonkeyPatch, mps: bool, cuda: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert pick_device("auto").type == expected


@pytest.mark.parametrize(
    ("device", "knows", "expected"),
    [
        ("mps", False, torch.float16),
        ("cuda", False, torch.bfloat16),
        ("cpu", True, torch.bfloat16),
        ("cpu", False, torch.float32),
    ],
)
def test_auto_dtype_is_what_the_device_computes(
    monkeypatch: pytest.MonkeyPatch, device: str, knows: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(module, "cpu_knows_bfloat16", lambda: knows)
    assert pick_dtype("auto", torch.device(device)) == expected
    assert pick_dtype("float16", torch.device(device)) == torch.float16


def test_the_cpu_can_be_asked() -> None:
    assert cpu_knows_bfloat16() in (True, False)
