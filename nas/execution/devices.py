"""On which processors a search trains: the cores of this machine, or its GPUs.

Light to import: looks for GPUs without JAX and TensorFlow, which would take hold of them.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from nas.errors import NasError

DRIVER = Path("/proc/driver/nvidia/gpus")  # has a folder for each GPU
PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
GPU_PLATFORM = "cuda"  # of JAX


def find_gpus(device: str) -> tuple[int, ...]:
    """The numbers of the GPUs to train on; () for the cores.

    Args:
        device: `auto` for the GPUs if there are any and JAX can use them, `cpu`, `gpu` for all of
            them, or some, as `gpu:0,2`.

    Raises:
        NasError: When it names no device, or one that is not there.
    """
    match = re.fullmatch(r"auto|cpu|gpu(?::(\d+(?:,\d+)*))?", device)
    if match is None:
        raise NasError("--device", f"got '{device}'", "auto, cpu, gpu, or some GPUs as gpu:0,1")
    if device == "cpu":
        return ()
    there = tuple(range(len(_names_of_gpus())))
    can_use = any(find_spec(plugin) is not None for plugin in PLUGINS)
    if device == "auto":
        return there if can_use else ()
    if not there:
        raise NasError("--device", f"got '{device}'", "cpu", "No GPU of NVIDIA was found here.")
    if not can_use:
        raise NasError("--device", f"got '{device}'", fix="Run: pip install 'nas[cuda]'.")
    wanted = tuple(dict.fromkeys(map(int, match[1].split(",")))) if match[1] else there
    missing = [number for number in wanted if number not in there]
    if missing:
        raise NasError(
            "--device", f"there is no GPU {missing[0]}", "one of " + ", ".join(map(str, there))
        )
    return wanted


def _names_of_gpus() -> list[str]:
    """The GPUs that this process may see, as `CUDA_VISIBLE_DEVICES` names them."""
    if not DRIVER.is_dir():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(len(list(DRIVER.iterdir())))]
    return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]


def gpu_environment(number: int) -> dict[str, str]:
    """Environment variables of a process that trains on a GPU, and sees no other.

    Args:
        number: Of the GPU, as from `find_gpus`.
    """
    return {
        "JAX_PLATFORMS": GPU_PLATFORM,
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),  # not those for the programs of a core
        "NPROC": str(os.cpu_count() or 1),  # threads, most of them to compile
        "CUDA_VISIBLE_DEVICES": dict(enumerate(_names_of_gpus())).get(number, str(number)),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
