"""What each way to find a network reaches in the same time: nas, its peers, and other models.

    python benchmarks/quality.py --size hour --out quality.json

Every entrant gets the same training rows, the same seconds and the same cores, in a process of its
own, and predicts the same test rows, which nothing else has seen. One function scores all of them.
What is in the file already is not run again, so that a run can be stopped and goes on. Entrants
that are not installed are left out; `pip install keras-tuner pytabkit` brings them.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from quality_nas import ABLATIONS
from quality_peers import ENTRANTS, MODELS, SEARCHES, not_installed
from quality_runs import Run, read_runs, show, this_machine, write_runs
from quality_sets import SEEDS, SETS, UCI, read_set
from rich.console import Console

UCI_SPLITS = 5  # of the 20 published ones
GRACE = 900.0  # seconds beyond its time after which an entrant is stopped
FILE_WIDTH = 400  # of a table that no terminal shows

# Sizes: sets, seconds, seeds and entrants
QUICK = ("digits", "abalone")
NAMED = ("digits", "adult", "abalone", "california_published_split", "cpu_act", "diabetes")
SIZES: dict[str, list[tuple[Sequence[str], float, int, Sequence[str]]]] = {
    "quick": [(QUICK, 30, 1, ("nas", "scikit-learn MLP, random", *MODELS))],
    "hour": [(NAMED, 60, 1, (*SEARCHES, *MODELS)), (NAMED[:4], 300, 1, ("nas",))],
    "full": [
        (SETS, 60, SEEDS, (*SEARCHES, *MODELS)),
        (UCI, 60, UCI_SPLITS, ("nas",)),
        (NAMED, 300, SEEDS, (*SEARCHES, *MODELS)),
        (NAMED, 60, SEEDS, tuple(ABLATIONS)),
    ],
}


def run_alone(entrant: str, name: str, seconds: float, seed: int, machine: str) -> Run:
    """Runs an entrant in a process of its own."""
    command = [sys.executable, __file__, "--one", entrant, name, str(seconds), str(seed)]
    started = time.monotonic()
    answer: dict[str, Any] = {"score": None}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + GRACE, check=True
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        answer["failure"] = "took far longer than its time"
    except subprocess.CalledProcessError as error:
        answer["failure"] = (error.stderr.strip().splitlines() or ["failed"])[-1][:200]
    wall = time.monotonic() - started - answer.pop("looked_back", 0.0)
    return Run.from_dict(
        {"entrant": entrant, "set": name, "seconds": seconds, "seed": seed, "wall": wall,
         "machine": machine, **answer}
    )  # fmt: skip


def answer_one(entrant: str, name: str, seconds: float, seed: int) -> None:
    """What `run_alone` starts: prints the score as the last line."""
    warnings.simplefilter("ignore")
    task = read_set(name, seed)
    answer = ENTRANTS[entrant](task, seconds, seed)
    score = task.score(answer.prediction)
    told = {k: v for k, v in asdict(answer).items() if k != "prediction"}
    print(json.dumps({"score": score, **told}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--sets", help="some sets of the size, with commas between them")
    parser.add_argument(
        "--entrants", help="some entrants of the size, with semicolons between them"
    )
    parser.add_argument("--seconds", type=float, help="another time for all of them")
    parser.add_argument(
        "--seeds", type=int, default=UCI_SPLITS, help="of the size, at most so many"
    )
    parser.add_argument("--out", type=Path, default=Path("quality.json"))
    parser.add_argument("--show", action="store_true", help="show what is in the file, no more")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        entrant, name, seconds, seed = options.one
        answer_one(entrant, name, float(seconds), int(seed))
        return
    console, runs, missing = Console(), read_runs(options.out), not_installed()
    done = {run.key for run in runs if not (options.retry and run.failure)}
    machine, times = this_machine(), []
    for sets, usual, seeds, entrants in SIZES[options.size]:
        seconds = options.seconds or usual
        times.append(seconds)
        for name, entrant, seed in product(sets, entrants, range(min(seeds, options.seeds))):
            wanted = (not options.sets or name in options.sets.split(",")) and (
                not options.entrants or entrant in options.entrants.split(";")
            )
            if options.show or not wanted or entrant in missing:
                continue
            if (entrant, name, seconds, seed) in done:
                continue
            with console.status(f"{entrant} on {name}, {seconds:g} s, seed {seed}"):
                run = run_alone(entrant, name, seconds, seed, machine)
            console.print(f"{entrant} on {name}: {run.score} in {run.wall:.0f} s {run.failure}")
            runs = [*(earlier for earlier in runs if earlier.key != run.key), run]
            done.add(run.key)
            write_runs(options.out, runs)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    for seconds in dict.fromkeys(times):
        show(runs, seconds, console)
    if missing:
        told = ", ".join(f"{entrant} ({package})" for entrant, package in missing.items())
        console.print(f"Not installed, and so not run: {told}")


if __name__ == "__main__":
    main()
