"""Workers of programs that multiprocessing could not import again, whatever started them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# As if Keras were imported with a backend that need not be installed.
ANOTHER_BACKEND = """
import sys
from types import SimpleNamespace

sys.modules["keras"] = SimpleNamespace(config=SimpleNamespace(backend=lambda: "jax"))
"""

# Not guarded by `if __name__ == "__main__"`, as people write it.
PROGRAM = """
print("begun", flush=True)
import multiprocessing.forkserver
import os
import signal

from nas.execution import processes

processes.START_METHOD = {method!r}

from sklearn.datasets import load_iris

from nas.encoding import FoldData
from nas.execution.workers import WorkerPool
from nas.errors import NasError
from nas.metrics import METRICS
from nas.space import RandomSuggester, SearchSpace
from nas.spec import Problem

factor = 3


def scaled(x):
    import keras

    return factor * x, keras.config.backend(), os.environ["OMP_NUM_THREADS"]


x, y = load_iris(return_X_y=True)
fold = FoldData("multiclass", x[::2].astype("float32"), y[::2], x[1::2].astype("float32"), y[1::2],
                0.0, 1.0)
space = SearchSpace({{"depth": 1, "width": 4, "epochs": 2}})
spec = space.sample(RandomSuggester(0), Problem("multiclass", 4, 3))
before = dict(os.environ)
pool = WorkerPool(1)
print(pool.call(scaled, 14))
pool.load([fold], METRICS["accuracy"], "auto")
pool.submit(0, spec, 1)
report = None
while report is None or report.running:
    report = pool.wait(60)
    if report is not None and report.running:
        pool.answer(0, True)
print(report.result.epochs, report.failure)
pool.close()
print(dict(os.environ) == before, "tensorflow" in sys.modules, "jax" in sys.modules)
common = multiprocessing.forkserver._forkserver
print(common._forkserver_pid, common._preload_modules)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.long
def test_a_script_without_a_guard_runs_once(tmp_path: Path, method: str) -> None:
    script = tmp_path / "search.py"
    script.write_text(ANOTHER_BACKEND + PROGRAM.format(method=method), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == [
        "begun",
        "(42, 'tensorflow', '1')",
        "(2,) ",
        "True False False",
        "None ['__main__']",  # the server that the user's own processes would have
    ], done.stderr
    assert done.stderr == ""


# Without TensorFlow, which takes seconds.
GREETED = """
from nas.execution import processes

processes.START_METHOD = "spawn"
print("begun", flush=True)
processes.start_process("jax", print, "a word").join()
"""


@pytest.mark.parametrize("arguments", [["-"], ["-c", GREETED], ["-m", "search"]])
def test_whatever_a_program_was_started_by(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "search.py").write_text(GREETED, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *arguments],
        input=GREETED if arguments == ["-"] else None,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("begun\na word\n", "")


REFUSED = """
from nas.engines.startup import start_tensorflow
from nas.errors import NasError

try:
    start_tensorflow()
except NasError as error:
    print(error)
"""


def test_training_here_with_another_backend_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_BACKEND + REFUSED], capture_output=True, text=True
    )
    assert done.stdout == (
        "KERAS_BACKEND: this process has imported Keras with the backend jax; expected "
        "tensorflow. Training needs none here with workers=2 or more, which are processes of "
        "their own.\n"
    ), done.stderr


STARTED = """
import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
from nas.engines.startup import start_tensorflow

start_tensorflow()
import keras
print(keras.config.backend(), os.environ["KERAS_BACKEND"], "TF_CPP_MIN_LOG_LEVEL" in os.environ)
"""


@pytest.mark.long
def test_tensorflow_started_here_leaves_the_environment_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True)
    assert done.stdout == "tensorflow jax False\n", done.stderr
    assert done.stderr == ""
