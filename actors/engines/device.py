"""Which device and which number format the settings mean on this machine."""

import torch

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def pick_device(device: str) -> torch.device:
    """auto takes mps, then cuda, then cpu."""
    if device != "auto":
        return torch.device(device)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """auto takes bfloat16, but float16 on mps, and float32 on a CPU that would have to emulate bfloat16."""
    if dtype != "auto":
        return DTYPES[dtype]
    if device.type == "mps":
        return torch.float16
    return torch.float32 if device.type == "cpu" and not cpu_knows_bfloat16() else torch.bfloat16


def cpu_knows_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16; without them it is slower than float32."""
    return any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)
