"""The machine that the times are of."""

import math
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import peers

PEERS = ("keras-tuner", "pytabkit")
PACKAGES = ("nas", "tensorflow", "keras", "numpy", "scikit-learn", "optuna", *PEERS)


def describe_machine() -> dict[str, Any]:
    """What the times depend on."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": model,
        "cores": len(peers.usable_cpus()),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def gemm_gflops(threads: int, size: int = 2048, repeats: int = 5) -> float:
    """Rate of large products of 32-bit matrices, one for each thread at once; the best of some."""
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(0)
    a, b = generator.random((2, size, size), dtype=np.float32)
    targets = [np.empty_like(a) for _ in range(threads)]
    best = math.inf
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            started = time.perf_counter()
            list(pool.map(lambda target: np.matmul(a, b, out=target), targets))
            best = min(best, time.perf_counter() - started)
    return threads * 2 * size**3 / best / 1e9
