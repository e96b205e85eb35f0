"""What importing the package changes, and loads."""

import subprocess
import sys

import pytest

CHANGES = """
import logging
import os
import signal
import warnings
from multiprocessing.reduction import ForkingPickler

import optuna


def state():
    return (
        dict(os.environ),
        list(warnings.filters),
        optuna.logging.get_verbosity(),
        logging.root.manager.disable,
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        dict(ForkingPickler._extra_reducers),
    )


import multiprocessing.sharedctypes  # which registers something of its own
import numpy, pandas, plotly.tools, scipy, sklearn

before = state()
import nas
import nas.cli
import nas.execution.workers
import nas.report.page
import nas.searching
import nas.study.storage
print([old == new for old, new in zip(before, state())])
"""


def output_of(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.long
def test_importing_changes_nothing_outside() -> None:
    assert output_of(CHANGES) == str([True] * 6)


def test_importing_the_package_loads_next_to_nothing() -> None:
    script = "import sys; before = set(sys.modules); import nas; print(set(sys.modules) - before)"
    loaded = output_of(script)
    assert not {"numpy", "pandas", "optuna", "keras", "tensorflow", "jax", "typer"} & {
        name.strip(" '{}").partition(".")[0] for name in loaded.split(",")
    }, loaded


def test_whoever_reads_a_study_does_not_wait_for_what_reads_data() -> None:
    script = "import sys; import nas.study.record; print({'pandas', 'sklearn'} & set(sys.modules))"
    assert output_of(script) == "set()"


SEARCHED = """
import warnings

warnings.simplefilter("error")
import optuna
from nas.searching import make_sampler
from nas.study.storage import quiet_optuna

before = list(warnings.filters), optuna.logging.get_verbosity()
make_sampler("tpe", 0, 0, 10)
with quiet_optuna():
    optuna.logging.get_logger("optuna.study").warning("a word")
    optuna.samplers.QMCSampler()
print(before == (list(warnings.filters), optuna.logging.get_verbosity()))
"""


@pytest.mark.long
def test_optuna_is_quiet_only_while_nas_uses_it() -> None:
    done = subprocess.run([sys.executable, "-c", SEARCHED], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
