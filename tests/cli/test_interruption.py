"""Ctrl-C in the middle of a search, in this process; `test_processes.py` has it in others."""

import signal
from pathlib import Path
from typing import Any

import pytest
from cli import Nas

from nas.searching import loop

# With a pruner that looks at every epoch, each is reported by itself.
SEARCH = "search --space tiny.yaml --trials 3 --folds 3 --workers 1 --pruner median".split()


def trained(nas: Nas, study: str) -> list[tuple]:
    trials = nas.right("trials", "--json", "--study", study).json()
    assert all(trial["outcome"] != "running" for trial in trials)
    counted = [t for t in trials if t["outcome"] not in ("interrupted", "duplicate")]
    return [(t["params"], t["outcome"], t["fold_values"]) for t in counted]


def test_a_search_goes_on_as_if_it_had_not_been_stopped(
    nas: Nas, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, calls = loop._Search._judge, []

    def press_ctrl_c(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 6:  # in the second epoch of the second trial
            signal.raise_signal(signal.SIGINT)
        judge(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Search, "_judge", press_ctrl_c)
        stopped = nas(*SEARCH)
    assert (stopped.code, len(calls)) == (130, 6)
    assert "The same command goes on from here." in stopped.out
    assert "Traceback" not in stopped.err
    assert len(trained(nas, "tiny")) == 1
    nas.right(*SEARCH)
    nas.right(*SEARCH, "--study", "whole")
    assert trained(nas, "tiny") == trained(nas, "whole")
