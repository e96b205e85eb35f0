"""Training the networks of a study, each with several seeds, on the data's own two parts.

Nothing is chosen here: a published figure is repeated as it was measured, trained on the training
part and scored on the test part. What a search finds is measured by the search itself.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console

from nas.analysis.causes import TITLES, find_causes
from nas.data import DataOptions, Dataset, Fold, Split, SplitOptions, load_dataset, split_dataset
from nas.encoding.shared_rows import encode_data
from nas.execution.pool import drive
from nas.execution.workers import WorkerPool
from nas.metrics import METRICS
from nas.space import RandomSuggester, SearchSpace
from nas.spec import Problem, TrialResult, TrialSpec

SEED = 0  # from which those of the networks' seeds are drawn
console = Console(highlight=False, stderr=True)


@dataclass(frozen=True)
class Network:
    """A network to train.

    Attributes:
        name: What its row of the table is called.
        settings: Words of the space language.
        published: Published figures by column, as they are to be shown.
    """

    name: str
    settings: Mapping[str, Any]
    published: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Trained:
    """What became of a network; arrays have a number for each seed.

    Attributes:
        train_loss: Mean loss of the last epoch, penalties included.
        train_value: Accuracy on the training rows afterwards.
        test_loss, test_value: The same on the test rows, without penalties.
        seconds: Training time of one; all seeds train together.
        epochs: Epochs run.
        spec: The network.
        result: Everything else.
    """

    name: str
    published: Mapping[str, str]
    train_loss: np.ndarray
    train_value: np.ndarray
    test_loss: np.ndarray
    test_value: np.ndarray
    seconds: float
    epochs: np.ndarray
    spec: TrialSpec
    result: TrialResult

    @property
    def causes(self) -> tuple[tuple[str, str], ...]:
        """What is wrong with the first one, in the order of evidence, with the evidence."""
        if self.result.examination is None:
            return ()
        found = find_causes(self.spec, self.result.curves, self.result.examination)
        return tuple((TITLES[name], evidence) for name, _, evidence in found)


@dataclass(frozen=True)
class Parts:
    """The rows that networks are trained on, and those that they are scored on."""

    dataset: Dataset
    split: Split
    problem: Problem
    pool: WorkerPool


def open_parts(options: DataOptions, n_workers: int, n_seeds: int, test_size: float = 0.2) -> Parts:
    """Loads the data and has the workers ready; the test part is the data's own, if it has one.

    Each network is trained with all seeds side by side.
    """
    pool = WorkerPool(n_workers)
    dataset = load_dataset(options)
    whole = split_dataset(dataset, SplitOptions(folds=1, test_size=test_size))
    split = replace(whole, folds=(Fold(whole.development, whole.test),))
    (encoded,) = encode_data(dataset, split, pool.rows_folder)
    pool.load([encoded], METRICS["accuracy"], "auto", replicates=n_seeds)
    return Parts(
        dataset, split, dataset.problem(encoded.x_train.shape[1], len(encoded.y_train)), pool
    )


def train_networks(parts: Parts, family: str, networks: Sequence[Network]) -> list[Trained]:
    """Trains all networks with all seeds, as many at once as there are workers."""
    specs = [
        SearchSpace(network.settings, network=family).sample(RandomSuggester(0), parts.problem)
        for network in networks
    ]
    results = _train(parts.pool, specs)
    rows = zip(networks, specs, results, strict=True)
    return [_summarize(network, spec, result) for network, spec, result in rows]


def _train(pool: WorkerPool, specs: Sequence[TrialSpec]) -> list[TrialResult]:
    results: dict[int, TrialResult] = {}
    started = time.monotonic()
    jobs = ((number, spec, SEED) for number, spec in enumerate(specs))
    with console.status("") as status:
        for report in drive(pool, jobs):
            minutes = (time.monotonic() - started) / 60.0
            status.update(f"{len(results)} of {len(specs)} trained, {minutes:.1f} minutes")
            if report is not None and report.failure:
                raise RuntimeError(report.failure)
            if report is not None and report.result is not None:
                results[report.job] = report.result
    return [results[number] for number in range(len(specs))]


def _summarize(network: Network, spec: TrialSpec, result: TrialResult) -> Trained:
    last = [(epochs - 1, seed) for seed, epochs in enumerate(result.epochs)]
    return Trained(
        name=network.name,
        published=network.published or {},
        train_loss=np.array([result.curves.train_loss[epoch][seed] for epoch, seed in last]),
        train_value=np.array(result.train_values),
        test_loss=np.array([result.curves.val_loss[epoch][seed] for epoch, seed in last]),
        test_value=np.array(result.fold_values),
        seconds=result.seconds / len(last),
        epochs=np.array(result.epochs),
        spec=spec,
        result=result,
    )
