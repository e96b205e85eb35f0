"""Repeats a published study, searches for something better, and writes its README.

python studies/reproduce.py depth_1_to_10        # one study
python studies/reproduce.py                      # all of them, under an hour on two cores
python studies/reproduce.py --quick --output quick_studies
python studies/reproduce.py --tell               # the pages again, from the last run's results
"""

import argparse
import importlib
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import page
from published import Results, Study
from runs import open_parts, train_networks

from nas.data import DataOptions
from nas.errors import NasError
from nas.execution.processes import default_workers
from nas.study.record import load_study

HERE = Path(__file__).parent
QUICK_SEARCH = ["--trials", "2", "--max-rows", "300"]
NAMES = (
    "depth_1_to_10",
    "sigmoid_or_relu",
    "shallow_beats_vgg",
    "first_deep_network",
    "stuck_at_eleven_percent",
)


def reproduce(name: str, output: Path, quick: bool, n_workers: int) -> None:
    """Trains the networks of a study, searches, and keeps what the page needs."""
    study = study_of(name)
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    options = quick_data(study.data) if quick else study.data
    n_seeds = 2 if quick else study.n_seeds
    parts = open_parts(options, n_workers, n_seeds)
    rows = f"{len(parts.split.development):,} training and {len(parts.split.test):,} test rows"
    try:
        trained = train_networks(parts, study.family, study.networks(quick))
    finally:
        parts.pool.close()
    repeated = (time.monotonic() - started) / 60.0
    search(name, folder, quick, n_workers)
    searched = (time.monotonic() - started) / 60.0 - repeated
    results = Results(
        tuple(trained), rows, n_seeds, (repeated, searched), str(date.today()), page.machine(),
        quick,
    )  # fmt: skip
    (folder / "results.pkl").write_bytes(pickle.dumps(results))


def write_page(name: str, output: Path) -> Path:
    """Writes `README.md` and `figure.png` from the results of a run; returns the former."""
    study, folder = study_of(name), output / name
    if not (folder / "results.pkl").exists():
        raise NasError(str(folder), "no results of an earlier run", fix="Leave --tell out.")
    results: Results = pickle.loads((folder / "results.pkl").read_bytes())
    told = study.tell(results.trained, load_study(name, database_url(folder)))
    told.figure.write_image(folder / "figure.png", scale=1.5)
    more = quick_options(output) if results.quick else ("", "")
    warning = "**A quick run, with few rows, epochs and seeds: its figures say nothing.**"
    sections = [
        f"# {study.title}",
        study.question.strip(),
        *([warning] if results.quick else []),
        f"## Repeated\n\n{results.rows}; {results.n_seeds} seeds for each network, mean ± standard "
        "deviation. Training loss is the mean over the last epoch, penalties included; all else is "
        "measured after it.",
        f"![{study.caption}](figure.png)",
        told.text.strip(),
        "## What a search finds\n\n"
        + page.search_text(load_study(name, database_url(folder)), results.minutes[1]),
        told.after_search.strip(),
        f"## Commands\n\n```\nnas search --config studies/{name}.yaml{more[0]}{study.options}\n"
        f"nas report --study {name}\nnas diagnose --study {name}\n"
        f"python studies/reproduce.py {name}{more[1]}\n```\n\n"
        "The first three are the search, its report, and what is wrong with its trials. The last "
        f"one trained the networks above, searched, and wrote this page, on {results.day} on "
        f"{results.machine}: {results.minutes[0]:.1f} minutes for the networks, "
        f"{results.minutes[1]:.1f} for the search.",
    ]
    readme = folder / "README.md"
    readme.write_text("\n\n".join(filter(None, sections)) + "\n", encoding="utf-8")
    return readme


def study_of(name: str) -> Study:
    study: Study = importlib.import_module(name).STUDY
    return study


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'search.db'}"


def quick_options(output: Path) -> tuple[str, str]:
    """What a quick run's commands have besides: of the search, and of this program."""
    return " " + " ".join(QUICK_SEARCH), f" --quick --output {output}"


def quick_data(options: DataOptions) -> DataOptions:
    """The same data, with few rows."""
    return replace(options, max_rows=min(options.max_rows or 600, 600))


def search(name: str, folder: Path, quick: bool, n_workers: int) -> None:
    """Runs the study's recipe, from the beginning."""
    (folder / "search.db").unlink(missing_ok=True)
    storage = database_url(folder)
    command = [sys.executable, "-m", "nas", "search", "--config", str(HERE / f"{name}.yaml")]
    command += ["--storage", storage, "--study", name, "--workers", str(n_workers)]
    if quick:
        command += QUICK_SEARCH
    finished = subprocess.run(command, check=False)
    if finished.returncode:
        raise NasError(f"studies/{name}.yaml", f"the search ended with {finished.returncode}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="studies; all where none is given")
    parser.add_argument("--quick", action="store_true", help="few rows, epochs, seeds and trials")
    parser.add_argument("--output", type=Path, default=HERE, help="where their folders are made")
    parser.add_argument(
        "--tell", action="store_true", help="write the pages of earlier runs again, no more"
    )
    parser.add_argument("--workers", type=int, default=default_workers())
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"got '{unknown[0]}'; expected some of {', '.join(NAMES)}")
    started = time.monotonic()
    for name in given.names or NAMES:
        if not given.tell:
            reproduce(name, given.output, given.quick, given.workers)
        readme = write_page(name, given.output)
        minutes = (time.monotonic() - started) / 60.0
        print(f"{readme} ({minutes:.1f} minutes so far)", flush=True)


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        sys.exit(f"reproduce: {error}")
