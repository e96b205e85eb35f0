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
from nas.cli.search import encode_data
from nas.data import DataOptions, Dataset, Fold, Split, SplitOptions, load_dataset, split_dataset
from nas.engines.workers import WorkerPool
from nas.metrics import METRICS
from nas.search.proposals import derive_seed
from nas.space import RandomSuggester, SearchSpace
from nas.spec import Problem, TrialResult, TrialSpec

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
        seconds: Training time.
        epochs: Epochs run.
        causes: What is wrong with the first one, in the order of evidence, with the evidence.
        spec: The network.
        results: Everything else.
    """

    name: str
    published: Mapping[str, str]
    train_loss: np.ndarray
    train_value: np.ndarray
    test_loss: np.ndarray
    test_value: np.ndarray
    seconds: np.ndarray
    epochs: np.ndarray
    causes: tuple[tuple[str, str], ...]
    spec: TrialSpec
    results: tuple[TrialResult, ...]


@dataclass(frozen=True)
class Parts:
    """The rows that networks are trained on, and those that they are scored on."""

    dataset: Dataset
    split: Split
    problem: Problem
    pool: WorkerPool


def open_parts(options: DataOptions, n_workers: int, test_size: float = 0.2) -> Parts:
    """Loads the data and has the workers ready; the test part is the data's own, if it has one."""
    pool = WorkerPool(n_workers)
    dataset = load_dataset(options)
    whole = split_dataset(dataset, SplitOptions(folds=1, test_size=test_size))
    split = replace(whole, folds=(Fold(whole.development, whole.test),))
    encoded = pool.call(encode_data, dataset, split)
    pool.load(encoded, METRICS["accuracy"], "auto")
    return Parts(dataset, split, dataset.problem(encoded[0].x_train.shape[1]), pool)


def train_networks(
    parts: Parts, family: str, networks: Sequence[Network], n_seeds: int
) -> list[Trained]:
    """Trains each network with so many seeds, as many at once as there are workers."""
    specs = [
        SearchSpace(network.settings, network=family).sample(RandomSuggester(0), parts.problem)
        for network in networks
    ]
    jobs = [(index, seed) for seed in range(n_seeds) for index in range(len(networks))]
    results = _train(parts.pool, [(specs[index], derive_seed(seed)) for index, seed in jobs])
    by_network: dict[int, list[TrialResult]] = {index: [] for index in range(len(networks))}
    for (index, _), result in zip(jobs, results, strict=True):
        by_network[index].append(result)
    return [
        _summarize(network, specs[index], by_network[index])
        for index, network in enumerate(networks)
    ]


def _train(pool: WorkerPool, jobs: Sequence[tuple[TrialSpec, int]]) -> list[TrialResult]:
    results: dict[int, TrialResult] = {}
    waiting = list(enumerate(jobs))[::-1]
    running: set[int] = set()
    started = time.monotonic()
    with console.status("") as status:
        while waiting or running:
            while waiting and len(running) < pool.slots:
                number, (spec, seed) = waiting.pop()
                running.add(number)
                pool.submit(number, spec, seed)
            report = pool.wait(0.5)
            minutes = (time.monotonic() - started) / 60.0
            status.update(f"{len(results)} of {len(jobs)} trained, {minutes:.1f} minutes")
            if report is None:
                continue
            if report.failure:
                raise RuntimeError(report.failure)
            if report.running:
                pool.answer(report.job, go_on=True)
            elif report.result is not None:
                results[report.job] = report.result
                running.discard(report.job)
    return [results[number] for number in range(len(jobs))]


def _summarize(network: Network, spec: TrialSpec, results: Sequence[TrialResult]) -> Trained:
    first = results[0]
    causes: tuple[tuple[str, str], ...] = ()
    if first.examination is not None:
        found = find_causes(spec, first.curves, first.examination)
        causes = tuple((TITLES[name], evidence) for name, _, evidence in found)
    last = [result.epochs[0] - 1 for result in results]
    pairs = list(zip(results, last, strict=True))
    return Trained(
        name=network.name,
        published=network.published or {},
        train_loss=np.array([r.curves.train_loss[e][0] for r, e in pairs]),
        train_value=np.array([r.train_values[0] for r in results]),
        test_loss=np.array([r.curves.val_loss[e][0] for r, e in pairs]),
        test_value=np.array([r.fold_values[0] for r in results]),
        seconds=np.array([r.seconds for r in results]),
        epochs=np.array([r.epochs[0] for r in results]),
        causes=causes,
        spec=spec,
        results=tuple(results),
    )
