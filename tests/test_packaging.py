"""What a wheel holds, and what it needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("nas-*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_ships_every_space(wheel: zipfile.ZipFile) -> None:
    shipped = {Path(name).name for name in wheel.namelist() if name.endswith(".yaml")}
    assert shipped == {path.name for path in (ROOT / "search_spaces").glob("*.yaml")}
    assert "nas/search_spaces/mlp_depth.yaml" in wheel.namelist()


def test_the_wheel_holds_the_package_and_its_command(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert not [name for name in names if name.startswith(("tests", "docs", "studies"))]
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "nas").rglob("*.py")}
    assert modules <= set(names)
    (entry,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "nas = nas.__main__:main" in wheel.read(entry).decode()


def test_constraints_pin_versions_without_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(line.count("==") == 1 and "/" not in line and "@" not in line for line in pins)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in pins}
    assert {"optuna", "tensorflow", "keras", "scikit-learn", "optuna-dashboard"} <= pinned
