"""Repeats a published study, searches for something better, and writes its README.

python studies/reproduce.py depth_1_to_10        # one study
python studies/reproduce.py                      # all of them, under an hour on two cores
python studies/reproduce.py --quick --output quick_studies
"""

import argparse
import importlib
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import page
from published import Study
from runs import open_parts, train_networks

from nas.data import DataOptions
from nas.engines.processes import default_workers
from nas.errors import NasError
from nas.study import StudyRecord, load_study

HERE = Path(__file__).parent
NAMES = (
    "depth_1_to_10",
    "sigmoid_or_relu",
    "shallow_beats_vgg",
    "first_deep_network",
    "stuck_at_eleven_percent",
)


def reproduce(name: str, output: Path, quick: bool, n_workers: int) -> Path:
    """Runs a study and writes `README.md` and `figure.png`; returns the folder."""
    study: Study = importlib.import_module(name).STUDY
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    options = quick_data(study.data) if quick else study.data
    seeds = 2 if quick else study.n_seeds
    parts = open_parts(options, n_workers, seeds)
    rows = f"{len(parts.split.development):,} training and {len(parts.split.test):,} test rows"
    try:
        trained = train_networks(parts, study.family, study.networks(quick))
    finally:
        parts.pool.close()
    repeated = time.monotonic() - started
    record = search(name, folder, quick, n_workers)
    searched = time.monotonic() - started - repeated
    told = study.tell(trained, record)
    told.figure.write_image(folder / "figure.png", scale=1.5)
    text = "\n\n".join(
        [
            f"# {study.title}",
            study.question.strip(),
            *(
                ["**A quick run, with few rows, epochs and seeds: its figures say nothing.**"]
                * quick
            ),
            f"## Repeated\n\n{rows}; {seeds} seeds for each network, mean ± standard deviation.",
            f"![{study.caption}](figure.png)",
            told.text.strip(),
            "## What a search finds\n\n" + page.search_text(record, searched / 60.0),
            "## Commands\n\n```\n"
            f"nas search --config studies/{name}.yaml\n"
            f"nas report --study {name}\n"
            f"nas diagnose --study {name}\n"
            f"python studies/reproduce.py {name}{' --quick' if quick else ''}\n```\n\n"
            f"The last one wrote this page on {date.today()}, on {page.machine()}: "
            f"{repeated / 60.0:.1f} minutes for the networks, "
            f"{searched / 60.0:.1f} for the search.",
        ]
    )
    (folder / "README.md").write_text(text + "\n", encoding="utf-8")
    return folder


def quick_data(options: DataOptions) -> DataOptions:
    """The same data, with few rows."""
    return replace(options, max_rows=min(options.max_rows or 600, 600))


def search(name: str, folder: Path, quick: bool, n_workers: int) -> StudyRecord:
    """Runs the study's recipe, from the beginning."""
    database = folder / "search.db"
    database.unlink(missing_ok=True)
    storage = f"sqlite:///{database}"
    command = [sys.executable, "-m", "nas", "search", "--config", str(HERE / f"{name}.yaml")]
    command += ["--storage", storage, "--study", name, "--workers", str(n_workers)]
    if quick:
        command += ["--trials", "2", "--max-rows", "300"]
    finished = subprocess.run(command, check=False)
    if finished.returncode:
        raise NasError(f"studies/{name}.yaml", f"the search ended with {finished.returncode}")
    return load_study(name, storage)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="studies; all where none is given")
    parser.add_argument("--quick", action="store_true", help="few rows, epochs, seeds and trials")
    parser.add_argument("--output", type=Path, default=HERE, help="where their folders are made")
    parser.add_argument("--workers", type=int, default=default_workers())
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"got '{unknown[0]}'; expected some of {', '.join(NAMES)}")
    started = time.monotonic()
    for name in given.names or NAMES:
        folder = reproduce(name, given.output, given.quick, given.workers)
        minutes = (time.monotonic() - started) / 60.0
        print(f"{folder / 'README.md'} ({minutes:.1f} minutes so far)", flush=True)


if __name__ == "__main__":
    try:
        main()
    except NasError as error:
        sys.exit(f"reproduce: {error}")
