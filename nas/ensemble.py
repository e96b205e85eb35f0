"""Several trained networks that answer together: which ones, how much each counts, what they score.

The trials are trained again, as a study keeps no weights: on each fold, so that every row is
predicted by networks that have not seen it, and on all folds together.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.analysis.winner import best_trials
from nas.choices import Ensemble
from nas.data import Fold
from nas.encoding import FoldData
from nas.errors import NasError
from nas.execution.pool import Pool, drive
from nas.metrics import Metric
from nas.preparation import Known, as_space, opened_pool, prepare_again
from nas.seeds import derive_seed
from nas.spec import TrialSpec
from nas.study.record import StudyRecord, TrialRecord

Array = NDArray[Any]
Weights = list[NDArray[np.float32]]
# Told after each trial: how many of how many are trained.
Tell = Callable[[int, int], object]


@dataclass(frozen=True)
class Member:
    """A trial, trained again.

    Attributes:
        trial: The trial.
        spec: Its network, with inputs as wide as those of all folds.
        by_fold: Weights of the network trained for each fold.
        whole: Those of the one trained on all folds together; None where it is not wanted.
    """

    trial: TrialRecord
    spec: TrialSpec
    by_fold: tuple[Weights, ...]
    whole: Weights | None = None


@dataclass(frozen=True)
class Vote:
    """How much each member counts, and what that is worth.

    Attributes:
        shares: Of each member, together 1; 0 for those that are of no use.
        fold_values: The score of each fold, with shares chosen without it.
    """

    shares: tuple[float, ...]
    fold_values: tuple[float, ...]


def train_members(
    study: StudyRecord,
    known: Known,
    kind: Ensemble,
    workers: int,
    gpus: Sequence[int] = (),
    tell: Tell = lambda done, of: None,
) -> tuple[list[Member], tuple[FoldData, ...]]:
    """Trains the trials of an ensemble again.

    Args:
        study: A study with a complete trial.
        known: Its data, folds and metric.
        kind: `folds` trains the winner on each fold; a number trains so many of the best trials,
            with 1 the winner alone, on each fold and on all folds together. Where there are fewer
            trials, they are trained several times, from other seeds.
        workers: Processes that train.
        gpus: Numbers of the GPUs to train on.
        tell: Told after each trial.

    Returns:
        Those that did not diverge, the best trial first; and the study's folds, encoded.

    Raises:
        NasError: When none is left.
    """
    chosen = best_trials(study, 1 if kind == "folds" else kind, raced=True)
    if kind != "folds":  # the same networks from other seeds, where there are too few
        chosen = [chosen[k % len(chosen)] for k in range(kind)]
    split, n_folds = known.split, len(known.split.folds)
    everything = Fold(split.development, split.test[:0])
    folds = split.folds if kind == "folds" else (*split.folds, everything)
    prepared = replace(prepare_again(study, known), split=replace(split, folds=folds))
    if known.build is not None:
        prepared = replace(prepared, space=as_space(known.build))
    scalings = tuple({s.architecture.scaling for _, s in chosen})
    pool, encoded = opened_pool(
        prepared, min(workers, len(chosen)), "auto", gpus, scalings, keeps_weights=True
    )
    width = encoded[0].x_train.shape[1]
    # Categories that some folds' training rows do not hold may widen the input.
    specs = [replace(s, problem=replace(s.problem, n_inputs=width)) for _, s in chosen]
    with pool:
        trained = _train(pool, specs, study.settings.split.seed, tell)
    members = [
        Member(trial, spec, weights[:n_folds], weights[n_folds] if weights[n_folds:] else None)
        for (trial, _), spec, weights in zip(chosen, specs, trained, strict=True)
        if weights
    ]
    if not members:
        raise NasError(
            study.name,
            f"all {len(chosen)} networks diverged when trained again",
            fix="Continue the search with a smaller highest learning rate.",
        )
    return members, encoded[:n_folds]


def _train(
    pool: Pool, specs: Sequence[TrialSpec], seed: int, tell: Tell
) -> list[tuple[Weights, ...]]:
    """Weights of each network by fold; empty where it diverged or could not be trained."""
    trained: list[tuple[Weights, ...]] = [()] * len(specs)
    failure, done = "", 0
    jobs = [(job, spec, derive_seed("member", seed, job)) for job, spec in enumerate(specs)]
    for report in drive(pool, jobs):
        if report is None or report.running:
            continue
        done += 1
        tell(done, len(specs))
        failure = report.failure or failure
        if all(np.isfinite(w).all() for weights in report.weights for w in weights):
            trained[report.job] = report.weights
    if failure and not any(trained):
        raise NasError("--ensemble", failure)
    return trained


def vote(
    predictions: Sequence[Sequence[Array]],
    targets: Sequence[Array],
    rows: Sequence[Array],
    metric: Metric,
) -> Vote:
    """How much each member is to count, by what they predict for rows that they have not seen.

    Forward selection with replacement (Caruana et al. 2004, ICML, section 2.1): the member that
    helps most is added, again and again, as often as there are members. What the choice is worth
    is measured on each fold with shares that other rows chose; a single fold is halved for that.

    Args:
        predictions: Of each member for the validation rows of each fold, as `Metric.score` takes
            them.
        targets: The truth of each fold.
        rows: Numbers of the rows of each fold; a repeat has the same ones again.
        metric: What counts.
    """
    given, truth, numbers = [list(p) for p in predictions], list(targets), list(rows)
    if len(truth) == 1:
        order = np.random.default_rng(derive_seed("halves")).permutation(len(truth[0]))
        halves = np.array_split(order, 2)
        given = [[of_member[0][half] for half in halves] for of_member in given]
        truth = [truth[0][half] for half in halves]
        numbers = [numbers[0][half] for half in halves]
    values = []
    for left_out in range(len(truth)):
        kept = [~np.isin(number, numbers[left_out]) for number in numbers]
        others = [k for k, mask in enumerate(kept) if mask.any()]
        shares = _greedy(
            [[member[k][kept[k]] for k in others] for member in given],
            [truth[k][kept[k]] for k in others],
            metric,
        )
        joined = sum(share * p[left_out] for share, p in zip(shares, given, strict=True) if share)
        values.append(_score(metric, truth[left_out], np.asarray(joined)))
    shares = _greedy(given, truth, metric)
    return Vote(tuple(map(float, shares)), tuple(values))


def _greedy(
    predictions: Sequence[Sequence[Array]], targets: Sequence[Array], metric: Metric
) -> NDArray[np.float64]:
    """The shares of the best vote on the way of adding one member after the other."""
    counts = np.zeros(len(predictions), int)
    sums: list[Any] = [0.0] * len(targets)
    best_counts, best_key = counts.copy(), -np.inf
    best_counts[0] = 1  # the winner alone, where nothing has a score

    def key(member: int) -> float:
        """The score with one more of a member; larger is better."""
        size = counts.sum() + 1
        scores = [
            _score(metric, y, (total + p) / size)
            for y, total, p in zip(targets, sums, predictions[member], strict=True)
        ]
        return metric.direction.key(float(np.mean(scores)))

    for _ in predictions:
        keys = [key(member) for member in range(len(predictions))]
        # Of equals the one that counts least so far, and then the one whose trial was better.
        added = max(range(len(keys)), key=lambda m: (keys[m], -counts[m], -m))
        counts[added] += 1
        sums = [total + p for total, p in zip(sums, predictions[added], strict=True)]
        # Of equals the one with more members, which is steadier.
        if keys[added] >= best_key and keys[added] > -np.inf:
            best_counts, best_key = counts.copy(), keys[added]
    return np.asarray(best_counts / best_counts.sum())


def _score(metric: Metric, y: Array, prediction: Array) -> float:
    """The score; NaN where it is undefined, as auc is without every class."""
    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            return metric.score(y, prediction)
        except ValueError:
            return float("nan")
