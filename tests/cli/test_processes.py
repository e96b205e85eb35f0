"""The command in processes of its own: silence, interruption, kill and resume."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli import TINY

NAS = [sys.executable, "-m", "nas"]
# With several workers the order in which trials end is chance, and so are later proposals.
SEARCH = [*NAS, *"search --space tiny.yaml --trials 6 --folds 3 --workers 1".split()]
LONG = pytest.mark.long
LONGER = TINY.replace("epochs: 4", "epochs: 300")  # a second for each trial that is not pruned


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        SEARCH, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_trials(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    seen = 0
    while seen < count:
        line = process.stdout.readline()
        assert line, process.communicate()
        seen += line.startswith("[")


def trials(folder: Path) -> list[dict]:
    done = subprocess.run(
        [*NAS, "trials", "--json"], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def trials_of(folder: Path, study: str) -> list[dict]:
    """The trials of a study that may not be there yet."""
    done = subprocess.run(
        [*NAS, "trials", "--json", "--study", study], cwd=folder, capture_output=True, text=True
    )
    return json.loads(done.stdout) if done.returncode == 0 else []


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)


def finish(folder: Path) -> list[dict]:
    done = subprocess.run(SEARCH, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return trials(folder)


def found(records: list[dict]) -> list[tuple]:
    counted = [t for t in records if t["outcome"] not in ("interrupted", "duplicate")]
    return [(t["params"], t["outcome"], t["fold_values"]) for t in counted]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.yaml").write_text(LONGER, encoding="utf-8")
    return finish(folder)


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_search_goes_on_as_if_nothing_had_happened(
    folder: Path, uninterrupted: list[dict], how: signal.Signals
) -> None:
    (folder / "tiny.yaml").write_text(LONGER, encoding="utf-8")
    process = start(folder)
    wait_for_trials(process, 1)
    time.sleep(0.3)  # into the next trial, whose program is compiled first: later ones are pruned
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "The same command goes on from here." in out
        assert "Traceback" not in err
        assert all(t["outcome"] != "running" for t in trials(folder))
    else:
        assert process.returncode == -signal.SIGKILL
    resumed = finish(folder)
    assert found(resumed) == found(uninterrupted)
    assert all(t["outcome"] != "running" for t in resumed)


@pytest.mark.long
def test_any_number_of_workers_finds_the_same(folder: Path) -> None:
    runs = []
    for workers in ("1", "2"):
        options = f"--sampler random --pruner none --workers {workers} --study w{workers}".split()
        subprocess.run([*SEARCH, *options], cwd=folder, capture_output=True, check=True)
        records = json.loads(
            subprocess.run(
                [*NAS, "trials", "--json", "--study", f"w{workers}"],
                cwd=folder,
                capture_output=True,
                check=True,
            ).stdout
        )
        runs.append(sorted((str(t["params"]), t["fold_values"]) for t in records))
    assert len(runs[0]) == 6
    for (params, values), (others_params, others_values) in zip(*runs, strict=True):
        assert params == others_params
        assert values == pytest.approx(others_values, abs=1e-6)


@pytest.mark.long
def test_a_search_with_workers_stops_at_once_and_goes_on(folder: Path) -> None:
    text = TINY.replace("epochs: 4", "epochs: 100000").replace("[4, 8]", "[400, 800]")
    (folder / "long.yaml").write_text(text, encoding="utf-8")
    search = [*NAS, *"search --space long.yaml --trials 6 --folds 3 --workers 2".split()]
    process = subprocess.Popen(
        search, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: sum(t["outcome"] == "running" for t in trials_of(folder, "long")) >= 4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "No trial is complete yet." in out
    assert "Traceback" not in err
    outcomes = {t["outcome"] for t in trials_of(folder, "long")}
    assert outcomes == {"interrupted"}


STOPPED = "nas: stopped; the same command starts again or goes on\n"


def start_in_terminal(folder: Path, *more: str) -> subprocess.Popen[str]:
    """A search in a process group of its own, as a shell starts one in a terminal."""
    (folder / "tmp").mkdir()
    return subprocess.Popen(
        [*SEARCH, *more],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "seconds", [0.0, pytest.param(1.5, marks=LONG), pytest.param(3.0, marks=LONG)]
)
def test_ctrl_c_in_the_first_seconds_is_one_line(folder: Path, seconds: float) -> None:
    process = start_in_terminal(folder, "--workers", "2")
    assert process.stderr is not None
    first = process.stderr.readline()  # a server of processes begins to import TensorFlow
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, first) == (130, "Reading the data\n"), err
    said = err.replace("Getting ready to train\n", "")
    # A fast machine trains by then, or has trained, and says so where it shows the trials.
    said = re.sub("^Training the winner .*\n", "", said)
    assert said == STOPPED or (not said and "Stopped. " in out)
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("how, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_search_that_is_told_to_end_leaves_a_clean_study(
    folder: Path, how: signal.Signals, code: int
) -> None:
    text = TINY.replace("epochs: 4", "epochs: 100000").replace("[4, 8]", "[400, 800]")
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    process = start_in_terminal(folder, "--workers", "2")
    wait_until(lambda: any(t["outcome"] == "running" for t in trials_of(folder, "tiny")))
    assert any((folder / "tmp").glob("nas-*"))
    os.killpg(process.pid, how)  # systemd tells all processes, a terminal that closes too
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "The same command goes on from here." in out
    assert "Traceback" not in err
    assert {t["outcome"] for t in trials_of(folder, "tiny")} == {"interrupted"}
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.long
def test_a_command_that_is_told_to_end_says_so(folder: Path) -> None:
    process = start_in_terminal(folder)
    assert process.stderr is not None
    while process.stderr.readline() != "Getting ready to train\n":
        pass
    process.terminate()
    assert process.communicate(timeout=60)[1] == STOPPED
    assert process.returncode == 143


@pytest.mark.long
def test_what_is_ignored_on_purpose_stays_ignored(folder: Path) -> None:
    search = ["nohup", *SEARCH]
    process = subprocess.Popen(
        search, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_trials(process, 1)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


@pytest.mark.long
def test_nothing_but_our_own_lines_is_printed(folder: Path) -> None:
    # Without what the tests themselves quieten TensorFlow by.
    bare = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(SEARCH, cwd=folder, env=bare, capture_output=True, text=True, check=True)
    reading, starting, training, publishing = done.stderr.splitlines()
    assert (reading, starting) == ("Reading the data", "Getting ready to train")
    assert training.startswith("Training the winner (trial ")
    assert publishing == "Putting the figures on the study for the dashboard"
    for line in done.stdout.splitlines():
        known = ("[", "Data", "Split", "Search", "Study", "Winner", "Test", "Simple", "Model")
        assert not line or line.startswith((*known, "Next", "        ")), line
    predicted = subprocess.run(
        [*NAS, *"predict studies/tiny.keras --data iris --output p.csv".split()],
        cwd=folder,
        env=bare,
        capture_output=True,
        text=True,
        check=True,
    )
    assert predicted.stderr == "Starting TensorFlow\nReading the rows\n"


@pytest.mark.long
def test_a_long_name_of_the_temporary_folder_is_no_trouble_for_sockets(folder: Path) -> None:
    temporary = folder / ("long" * 25)
    temporary.mkdir()
    done = subprocess.run(
        [*SEARCH, "--workers", "2"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not list(temporary.glob("nas-*"))


@pytest.mark.long
def test_two_searches_share_a_study_and_its_number_of_trials(folder: Path) -> None:
    first, second = start(folder), start(folder)
    errors = [process.communicate(timeout=120)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    records = trials(folder)
    assert sum(t["outcome"] in ("complete", "pruned") for t in records) == 6
    assert all(t["outcome"] != "running" for t in records)


@pytest.mark.long
def test_a_reader_that_closes_early_is_no_error(searched: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = f"{sys.executable} -m nas trials --csv | head -1"
    done = subprocess.run(
        command,
        shell=True,
        cwd=searched,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("trial,outcome")
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_search_stopped_in_its_first_trial_is_no_failure(folder: Path) -> None:
    text = TINY.replace("epochs: 4", "epochs: 100000")
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    process = start(folder)
    wait_until(lambda: any(t["outcome"] == "running" for t in trials_of(folder, "tiny")))
    time.sleep(1)  # into the first trial
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "No trial is complete yet." in out
    assert err == "Reading the data\nGetting ready to train\n"


@pytest.mark.long
def test_the_database_file_alone_holds_a_finished_study(folder: Path) -> None:
    finish(folder)
    copy = folder / "copy.db"
    copy.write_bytes((folder / "studies" / "nas.db").read_bytes())
    done = subprocess.run(
        [*NAS, "trials", "--json", "--storage", "sqlite:///copy.db"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(done.stdout)) >= 6
