"""Training one given network, and recording it in the study."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from optuna.trial import TrialState

from nas.errors import NasError
from nas.execution.pool import Pool, Report, drive
from nas.searching.leftovers import why_interrupted
from nas.searching.loop import result_attributes
from nas.searching.opening import LiveStudy
from nas.seeds import derive_seed
from nas.space import SearchSpace, params_of
from nas.spec import TrialSpec
from nas.study.attributes import Outcome, TrialAttributes
from nas.study.record import TrialRecord, set_attributes, settings_of, trial_record


@dataclass(frozen=True)
class Given:
    """Where the training of a given network stands.

    Attributes:
        epoch: Epochs that it has run.
        value: Mean score over the folds after the last one.
        finished: The trial, once it has ended.
    """

    epoch: int
    value: float
    finished: TrialRecord | None = None


def train_given(
    live: LiveStudy, space: SearchSpace, pool: Pool, spec: TrialSpec, seed: int
) -> Iterator[Given]:
    """Trains one network on the study's folds.

    One that the study's space holds becomes a trial like any other. One outside it is recorded
    too, but neither sampler nor importance nor the choice of the winner sees it. Interrupted, it
    is not taken up again.

    Args:
        live: From `live_study`.
        space: The study's space.
        pool: Trains it.
        spec: The network.
        seed: The study's seed.

    Yields:
        The state after each epoch, and once more at the end.

    Raises:
        NasError: When the network cannot be trained.
    """
    study, claims = live.study, live.claims
    params = params_of(space, spec)
    # From the first moment one outside the space is none that counts.
    outcome: Outcome | None = "given" if params is None else None
    mine = TrialAttributes(given=True, spec=spec, n_weights=spec.n_weights, outcome=outcome)
    begun = None
    while begun is None:
        begun = claims.begin(claims.index, params, **mine.to_attributes())
    trial_id, index = begun
    trial = claims.trial(trial_id)
    outcome = outcome or "complete"
    value, epoch = float("nan"), 0
    try:
        if params is not None:
            space.sample(trial, spec.problem)
        job = (trial.number, spec, derive_seed("trial", seed, index))
        for report in drive(pool, [job], _is_finite):
            if report is None:
                continue
            if report.failure:
                raise NasError(f"trial {trial.number}", report.failure)
            for scores in report.scores.T:
                epoch += 1
                value = float(np.mean(scores))
                if not np.isfinite(scores).all():  # what other folds did after that is no matter
                    yield Given(epoch, value)
                    break
                trial.report(value, epoch)
                yield Given(epoch, value)
        assert report is not None and report.result is not None  # the last one
        reason = ""
        if not np.isfinite(report.result.fold_values).all():
            outcome = "diverged" if params is not None else "given"
            reason = f"diverged in epoch {epoch}"
        elif params is None:
            reason = "given, and outside the study's space"
        attributes = replace(
            result_attributes(report.result),
            engine=report.engine,
            engine_reason=report.engine_reason,
            outcome=outcome,
            reason=reason,
        )
        set_attributes(trial, attributes)
        if outcome == "complete":
            finished = study.tell(trial, value)
        else:  # as a failure, which samplers ignore
            finished = study.tell(trial, state=TrialState.FAIL)
    except BaseException as error:
        failed = isinstance(error, NasError)
        reason = error.received if isinstance(error, NasError) else why_interrupted(error)
        with suppress(Exception):  # the error itself is what is to be told
            pool.cancel(trial.number)
            outcome = "failed" if failed else "interrupted"
            set_attributes(trial, TrialAttributes(outcome=outcome, reason=reason))
            study.tell(trial, state=TrialState.FAIL)
        raise
    yield Given(epoch, value, trial_record(finished, settings_of(study).split))


def _is_finite(report: Report) -> bool:
    return bool(np.isfinite(report.scores).all())
