"""How often a pruner drops the network that would have been the best, and what it saves.

    python benchmarks/portfolio.py --settings 60 --out portfolio.json
    python benchmarks/racing.py portfolio.json

Replays the whole learning curves that `portfolio.py` has recorded: random settings of the usual
space, trained to their end on the folds of a race's first stage. A search is 30 of them in a random
order, one after the other; each rule sees what it would have seen. So 200 searches of a set cost
no training. What the later folds decide is not replayed.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from portfolio import Trained
from rich.console import Console
from rich.table import Table

from nas import pruning
from nas.direction import Direction

Curve = NDArray[np.float64]  # score after each epoch, larger is better
# From a curve, and what is known by rung, to how many epochs are trained.
Rule = Callable[[Curve, dict[int, list[float]]], int]

SEARCHES = 200
TRIALS = 30


def in_rungs(epochs: Callable[[int], Sequence[int]], factor: int, forgives: bool = False) -> Rule:
    """Asynchronous halving after some epochs.

    Args:
        epochs: From the epochs of a network to those after which it is judged.
        factor: The best `1 / factor` go on.
        forgives: Whether all go on that were among those after their first epoch.
    """

    def trained(curve: Curve, known: dict[int, list[float]]) -> int:
        def is_among_the_best(rung: int, epoch: int) -> bool:
            value, scores = float(curve[epoch - 1]), known.setdefault(rung, [])
            kept = pruning.halving([value], sorted(scores), Direction.MAXIMIZE, factor)[0]
            scores.append(value)
            return bool(kept)

        is_safe = forgives and is_among_the_best(-1, 1)
        for rung, epoch in enumerate(epochs(len(curve))):
            if epoch < len(curve) and not is_among_the_best(rung, epoch) and not is_safe:
                return epoch
        return len(curve)

    return trained


def shares(total: int) -> list[int]:
    """The rungs of a race, in epochs of a network."""
    found = [round(total * share) for share in pruning.RACING_SHARES]
    return [epoch if epoch >= 2 else total for epoch in found]  # never after only one


def by_median(curve: Curve, known: dict[int, list[float]]) -> int:
    """The median rule, after each epoch."""
    for epoch, value in enumerate(map(float, curve[:-1]), start=1):
        scores = known.setdefault(epoch, [])
        kept = pruning.median([value], sorted(scores), Direction.MAXIMIZE)[0]
        scores.append(value)
        if not kept:
            return epoch
    return len(curve)


def rules(max_epochs: int) -> dict[str, Rule]:
    """Those that are compared, by name.

    Args:
        max_epochs: Of any network, by which halving has its rungs.
    """
    rungs = pruning.rungs(max_epochs)
    return {
        "racing": in_rungs(shares, pruning.RACING_FACTOR, forgives=True),
        "racing, unforgiving": in_rungs(shares, pruning.RACING_FACTOR),
        "halving": in_rungs(lambda _: rungs, pruning.REDUCTION_FACTOR),
        "median": by_median,
        "better half after one epoch": in_rungs(lambda _: (1,), 2),
        "best third after one epoch": in_rungs(lambda _: (1,), 3),
    }


def replay(curves: Sequence[Curve], rule: Rule, seed: int) -> tuple[float, float]:
    """One search: the share of the epochs that it trains, and how far its best is from the best.

    The distance is a share of that between the best and the median of all.
    """
    order = np.random.default_rng(seed).permutation(len(curves))[:TRIALS]
    known: dict[int, list[float]] = {}
    trained = {k: rule(curves[k], known) for k in order}
    last = {k: float(curves[k][-1]) for k in order}
    best = max(last.values())
    left = [last[k] for k in order if trained[k] == len(curves[k])]
    spread = max(best - float(np.median(list(last.values()))), 1e-12)
    spent = sum(trained.values()) / sum(len(curves[k]) for k in order)
    return spent, (best - max(left)) / spread if left else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="a file that portfolio.py has written")
    options = parser.parse_args()
    by_set: dict[str, list[Curve]] = {}
    for kept in json.loads(options.runs.read_text(encoding="utf-8")):
        run = Trained(**kept)
        by_set.setdefault(run.set, []).append(np.array(run.scores))
    table = Table(title=f"{SEARCHES} searches of {TRIALS} networks in random orders")
    for column in ("set", "networks", "rule", "epochs spent", "best dropped", "regret"):
        table.add_column(column, justify="left" if column in ("set", "rule") else "right")
    for name, curves in by_set.items():
        for rule_name, rule in rules(max(map(len, curves))).items():
            found = np.array([replay(curves, rule, seed) for seed in range(SEARCHES)])
            table.add_row(
                name,
                str(len(curves)),
                rule_name,
                f"{found[:, 0].mean():.2f}",
                f"{np.mean(found[:, 1] > 1e-9):.1%}",
                f"{found[:, 1].mean():.3f}",
            )
    console = Console()
    if not console.is_terminal:
        console.width = 120
    console.print(table)


if __name__ == "__main__":
    main()
