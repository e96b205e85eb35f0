"""How fast a compiled program is: an epoch of all folds in one worker, after its compilation."""

from typing import Any

import peers
from rich.table import Table
from work import Work, console, useful_flops

from nas.space import RandomSuggester, SearchSpace

NETWORKS = ((1, 64), (2, 64), (4, 128), (2, 256))  # depth and width
AT_ONCE, TIMES = 10, 6  # epochs between two looks at the clock at the most, and looks


def run_warm(work: Work, gflops: float) -> list[dict[str, float]]:
    """The best time of an epoch, scores of validation rows included, by network.

    Args:
        work: Its folds.
        gflops: The rate of large products on one core.
    """
    n_folds, problem = len(work.folds), work.specs[0].problem
    n_rows = sum(len(fold.y_train) for fold in work.folds) / n_folds
    rows = []
    table = Table("network", "ms / epoch", "GFLOP/s", "% of one core's", box=None)
    for depth, width in NETWORKS:
        words: dict[str, Any] = {"depth": depth, "width": width, "dropout": 0.1, "l2": 1e-5}
        space = SearchSpace({**words, "batch_size": 32, "epochs": AT_ONCE * TIMES})
        spec = space.sample(RandomSuggester(0), problem)
        seconds = min(peers.engine_epochs("compiled", work.folds, spec, AT_ONCE)[1:])
        rate = useful_flops(spec, n_rows, n_folds) / spec.training.epochs / seconds / 1e9
        rows.append({"depth": depth, "width": width, "seconds": seconds, "gflops": rate})
        share = f"{100 * rate / gflops:.0f}"
        table.add_row(f"{depth} x {width}", f"{1e3 * seconds:.1f}", f"{rate:.0f}", share)
    console.print(table)
    return rows
