"""On which device a search trains, and many trials in one program as on a GPU."""

from pathlib import Path

import pytest

from nas.errors import NasError
from nas.execution import devices
from nas.execution.devices import find_gpus, gpu_environment


@pytest.fixture
def three_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
    monkeypatch.setattr(devices, "DRIVER", tmp_path)
    monkeypatch.setattr(devices, "PLUGINS", ("optuna",))  # which is installed
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("device", "gpus"),
    [("cpu", ()), ("auto", (0, 1, 2)), ("gpu", (0, 1, 2)), ("gpu:1", (1,)), ("gpu:2,0,2", (2, 0))],
)
def test_gpus_are_found(three_gpus: None, device: str, gpus: tuple[int, ...]) -> None:
    assert find_gpus(device) == gpus


def test_only_visible_gpus_count(three_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8932f937")
    assert find_gpus("auto") == (0, 1)
    assert gpu_environment(1)["CUDA_VISIBLE_DEVICES"] == "GPU-8932f937"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,,3")
    assert find_gpus("gpu") == (0, 1) and gpu_environment(1)["CUDA_VISIBLE_DEVICES"] == "3"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert find_gpus("auto") == ()


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu", "device: got 'tpu'; expected auto, cpu, gpu, or some GPUs as gpu:0,1"),
        ("gpu:", "device: got 'gpu:'; expected auto"),
        ("gpu:5", "device: there is no GPU 5; expected one of 0, 1, 2"),
    ],
)
def test_what_names_no_device_is_refused(three_gpus: None, device: str, message: str) -> None:
    with pytest.raises(NasError) as caught:
        find_gpus(device)
    assert str(caught.value).startswith(message)


def test_a_gpu_that_cannot_be_used_is_no_device(
    three_gpus: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "PLUGINS", ("no_such_package",))
    assert find_gpus("auto") == ()
    with pytest.raises(NasError, match=r"pip install 'nas\[cuda\]'"):
        find_gpus("gpu")
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "none")
    with pytest.raises(NasError, match="No GPU of NVIDIA was found here"):
        find_gpus("gpu")
    assert find_gpus("auto") == find_gpus("cpu") == ()
