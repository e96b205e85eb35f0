"""The loop: ask Optuna, have trials trained on all folds, prune by the mean, tell.

The generator `run_search` drives everything, and yields a `Progress` after each epoch. The caller
may stop iterating at any time, and the study is left clean. A pool trains several trials at once.
Each proposal is seeded from the search's seed and the trial's index, the lowest number that no
other trial has, so a search of one trial at a time that was stopped and resumed proposes what an
uninterrupted one would have.

The file is long because the loop is one class: its parts share the study, the pool and the race.
"""

import math
import time
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from optuna.trial import FrozenTrial, Trial, TrialState

from nas import pruning
from nas.direction import Direction
from nas.engines.lanes import joined_results
from nas.execution.pool import Pool, Report
from nas.options import SearchOptions
from nas.searching.ledger import Ledger
from nas.searching.leftovers import sweep, why_interrupted
from nas.searching.opening import LiveStudy
from nas.searching.pace import USUALLY_TRAINED, Pace, most_confirmed, to_confirm, work
from nas.searching.progress import Progress
from nas.searching.proposals import Proposer
from nas.searching.race import Race
from nas.seeds import derive_seed
from nas.space import SearchSpace
from nas.spec import Problem, TrialResult, TrialSpec
from nas.study.attributes import REJECTED, Outcome, TrialAttributes
from nas.study.claims import NoPlaceError
from nas.study.owner import RENEWAL
from nas.study.record import (
    StudyRecord,
    TrialRecord,
    set_attributes,
    settings_of,
    study_record,
    trial_record,
)
from nas.study.storage import storage_errors

ENDED_TRIALS = 5  # after which a search asks whether it has done enough
HEARTBEAT = 0.2  # seconds after which the caller gets a `Progress`, even if nothing happened


@dataclass
class _Job:
    """A trial in training.

    Attributes:
        outcome: How it ends, as soon as that is decided; its result may still be to come.
        reason: Why.
        seed: Its seed.
        stage: Which folds it is trained on, of `pruning.stages`.
        earlier: What it reached on those before.
        value: Mean score over the folds after its last epoch.
        epoch: Epochs that it has run on these folds.
        started_well: Whether it was among the better half after its first epoch, in a race.
        engine: Name of its engine.
        engine_reason: Why that one.
    """

    trial: Trial
    spec: TrialSpec
    seed: int
    stage: int = 0
    earlier: TrialResult | None = None
    outcome: Outcome = "complete"
    reason: str = ""
    value: float = float("nan")
    epoch: int = 0
    started_well: bool = False
    engine: str | None = None
    engine_reason: str = ""


def run_search(
    live: LiveStudy,
    url: str,
    space: SearchSpace,
    problem: Problem,
    pool: Pool,
    options: SearchOptions,
    val_rows: Sequence[int] = (),
    why_enough: Callable[[StudyRecord], str] | None = None,
) -> Iterator[Progress]:
    """Trains trials until the study has `options.n_trials`, the time is up, or none is left.

    Other searches of the study are counted with it: its last trials may still be in training there
    when this one ends.

    Closing the generator, and any exception, ends the trials in training as interrupted; a later
    run takes them up again. The pool stays open.

    Args:
        live: From `live_study`.
        url: The study's database, for messages.
        space: Where networks are drawn from.
        problem: What the data asks of a network.
        pool: Trains the trials.
        options: How to search.
        val_rows: Validation rows of each fold, by which racing divides the folds into stages; with
            none it has one stage.
        why_enough: Told the study now and then; what it answers is why no other trial is begun.
            None never ends it.

    Yields:
        The state after each epoch and after each trial, and several times a second.
    """
    search = _Search(live, space, problem, pool, options, val_rows, why_enough)
    with storage_errors(url):
        try:
            yield from search.run()
        except BaseException as error:
            search.abandon(why_interrupted(error))
            raise


class _Search:
    """One call of `run_search`."""

    def __init__(
        self,
        live: LiveStudy,
        space: SearchSpace,
        problem: Problem,
        pool: Pool,
        options: SearchOptions,
        val_rows: Sequence[int],
        why_enough: Callable[[StudyRecord], str] | None,
    ) -> None:
        self._live, self._study, self._claims = live, live.study, live.claims
        self._pool, self._options = pool, options
        self._proposer = Proposer(live.study, live.claims, space, problem, options)
        self._rungs = pruning.rungs(space.max_epochs)
        self._race = Race(live.study, val_rows) if options.pruner == "racing" else None
        self._stages = self._race.stages if self._race else ((),)
        self._why_enough = why_enough
        self._pace = Pace(pool.workers, options.timeout)
        self._n_folds = max(len(val_rows), 1)
        self._deadline = time.monotonic() + options.timeout if options.timeout is not None else None
        # Of each complete trial the score, as `-Direction.key`, and its seconds; ascending.
        self._complete: list[tuple[float, float]] = []
        self._reserved = 0.0  # seconds of the time that the best trials will be confirmed in
        self._jobs: dict[int, _Job] = {}
        self._swept_at = time.monotonic()
        self._in_doubt = False  # whether a search that trains may be dead
        self._note = ""  # why no other trial is begun
        self._is_waiting = False  # for one of those in training to end
        self._split = settings_of(live.study).split
        self._direction = Direction[live.study.direction.name]
        self._ledger = Ledger(live.study, live.storage)
        self._best: TrialRecord | None = None
        self._state = self._progress()
        if self._deadline is not None:
            for trial in live.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
                self._reserve(trial.value or 0.0, trial.user_attrs.get("seconds") or 0.0)

    def run(self) -> Iterator[Progress]:
        yield self._state
        while True:
            may_ask = self._may_ask()
            if not self._jobs and not may_ask:
                if not self._note and self._place_came_back():
                    continue
                if not self._note and self._in_doubt and not self._time_is_up():
                    time.sleep(HEARTBEAT)
                    yield self._state
                    continue
                if self._note:
                    yield replace(self._state, note=self._note)
                return
            self._look_after_others()
            report = self._pool.wait(0.0 if may_ask else HEARTBEAT) if self._jobs else None
            if report is not None:
                yield from self._take(report)
            elif may_ask:
                yield from self._begin()
            else:
                yield self._state
            if self._time_is_up() and self._jobs:
                self.interrupt("the time was up")

    def interrupt(self, reason: str) -> None:
        """Ends all trials in training, to be taken up again by a later run."""
        self._cancel_all()
        for job in list(self._jobs.values()):
            job.outcome, job.reason = "interrupted", reason
            self._end(job, None)

    def abandon(self, reason: str) -> None:
        """Ends all trials in training for an exception, which is what is to be told."""
        with suppress(Exception):
            self._cancel_all()
        for job in list(self._jobs.values()):
            job.outcome, job.reason = "interrupted", reason
            with suppress(Exception):  # the database may have gone; others may still be ended
                self._end(job, None)

    def _cancel_all(self) -> None:
        for number in reversed(self._jobs):  # what no worker has yet, before one could take it
            self._pool.cancel(number)

    def _time_is_up(self) -> bool:
        return self._seconds_left() <= 0.0

    def _seconds_left(self) -> float:
        """Seconds in which trials may train; as many as one likes where there is no timeout."""
        if self._deadline is None:
            return math.inf
        return self._deadline - self._reserved - time.monotonic()

    def _may_ask(self) -> bool:
        most = self._pool.slots
        if self._deadline is not None and not self._state.complete:
            # The first winner comes soonest where nothing takes turns with it.
            most = min(most, self._pool.workers)
        if self._note or len(self._jobs) >= most:
            return False
        if self._claims.is_full(self._options.n_trials):
            return False
        if self._time_is_up():
            self._note = "The time is up."
            return False
        return not self._is_waiting

    def _why_too_long(self, spec: TrialSpec) -> str:
        """Why a trial is not begun that would take too long; empty for one that is.

        Without a winner, and without one in training, better a try than nothing.
        """
        if self._deadline is None or not (self._jobs or self._state.complete):
            return ""
        own = self._pace.seconds(work(spec, spec.n_epochs, self._n_folds), spec)
        waiting = sum(map(self._work_left, self._jobs.values()))
        if self._pace.fits(own, waiting, self._seconds_left()):
            return ""
        return f"about {own:.0f} s of training; {max(self._seconds_left(), 0.0):.0f} s were left"

    def _work_left(self, job: _Job) -> float:
        """The work until a trial ends, of which a pruner usually spares a part."""
        later = self._stages[job.stage + 1 :] if len(self._stages) > 1 else ()
        epochs = job.spec.n_epochs
        here = work(job.spec, epochs - job.epoch, self._folds_of(job))
        left = here + work(job.spec, epochs, sum(map(len, later)))
        return left if job.stage or self._options.pruner == "none" else USUALLY_TRAINED * left

    def _folds_of(self, job: _Job) -> int:
        """How many folds the stage of a trial has."""
        return len(self._stages[job.stage]) if len(self._stages) > 1 else self._n_folds

    def _place_came_back(self) -> bool:
        """Whether another search that was killed or stopped left places, in the very end."""
        self._claims.refresh()
        self._in_doubt = False
        if self._claims.n_training:
            self._sweep()
            self._claims.refresh()
        return not self._claims.is_full(self._options.n_trials)

    def _look_after_others(self) -> None:
        """Looks now and then whether the other searches of the study still live."""
        others = self._claims.n_training > len(self._jobs)
        if others and time.monotonic() >= self._swept_at + RENEWAL:
            self._sweep()

    def _sweep(self) -> None:
        self._in_doubt = sweep(self._study, self._live.database, self._live.watch)
        self._swept_at = time.monotonic()

    def _begin(self) -> Iterator[Progress]:
        try:
            asked = self._proposer.ask(self._why_too_long)
        except NoPlaceError:
            return
        if asked is None and self._deadline is not None and self._proposer.found_too_long:
            if self._jobs:  # one that ends early may leave more
                self._is_waiting = True
            else:
                self._note = "The time that is left is too short for another trial."
            return
        if asked is None:
            self._note = (
                "No other network of this space is within --max-params."
                if self._options.max_params is not None
                else "Every network of this space has been trained."
            )
            return
        trial, spec, index = asked
        job = _Job(trial, spec, derive_seed("trial", self._options.seed, index))
        self._jobs[trial.number] = job
        self._pace.begin(spec)
        yield self._start(job)

    def _start(self, job: _Job) -> Progress:
        """Has a trial trained on the folds of its stage."""
        job.epoch = 0
        folds = self._stages[job.stage] if len(self._stages) > 1 else None
        number, epochs = job.trial.number, self._epochs_until_decision(job)
        self._pool.submit(number, job.spec, job.seed, epochs, folds)
        self._state = replace(
            self._state,
            in_training=len(self._jobs),
            running=job.spec,
            number=number,
            epoch=0,
            score=None,
        )
        return self._state

    def _take(self, report: Report) -> Iterator[Progress]:
        job = self._jobs.get(report.job)
        if job is None:  # it was interrupted
            return
        if report.engine:
            job.engine, job.engine_reason = report.engine, report.engine_reason
        if report.failure:
            job.outcome, job.reason = "failed", report.failure
        elif report.scores.size:
            self._pace.note(work(job.spec, report.scores.shape[1], self._folds_of(job)))
            self._judge(job, report)
            if report.running:
                epochs = self._epochs_until_decision(job)
                self._pool.answer(report.job, job.outcome == "complete", epochs)
                if job.outcome == "complete":
                    self._state = replace(
                        self._state,
                        running=job.spec,
                        number=job.trial.number,
                        epoch=job.epoch,
                        score=job.value,
                    )
                    yield self._state
                return
        result = report.result
        if job.earlier is not None and result is not None:
            result = joined_results(job.earlier, result)
            job.value = float(np.mean(result.fold_values))
        if job.outcome == "complete" and job.stage + 1 < len(self._stages):
            if self._promotes(job):
                job.stage, job.earlier = job.stage + 1, result
                yield self._start(job)
                return
            n_folds, of = sum(map(len, self._stages[: job.stage + 1])), sum(map(len, self._stages))
            job.outcome, job.reason = "pruned", f"racing after {n_folds} of {of} folds"
        finished = self._end(job, result)
        self._state = self._progress()
        if self._why_enough and not self._note and not self._state.done % ENDED_TRIALS:
            self._note = self._why_enough(study_record(self._study))
        yield replace(self._state, finished=trial_record(finished, self._split))

    def _progress(self) -> Progress:
        self._ledger.refresh()
        outcomes, best = self._ledger.outcomes, self._ledger.best
        if best is not None and (self._best is None or self._best.number != best.number):
            self._best = trial_record(best, self._split)
        return Progress(
            n_trials=self._options.n_trials,
            complete=outcomes["complete"],
            pruned=outcomes["pruned"] + outcomes["diverged"],
            failed=outcomes["failed"],
            rejected=sum(outcomes[outcome] for outcome in REJECTED),
            best=self._best,
            in_training=len(self._jobs),
            deadline=self._deadline,
        )

    def _judge(self, job: _Job, report: Report) -> None:
        """Notes the scores of some epochs, and decides whether the trial goes on."""
        decision = job.epoch + report.scores.shape[1]
        for scores in report.scores.T:
            job.epoch += 1
            if not np.isfinite(scores).all():
                fold = int(np.argmin(np.isfinite(scores)))
                if job.stage:
                    fold = self._stages[job.stage][fold]
                job.outcome = "diverged"
                job.reason = f"diverged in epoch {job.epoch} on fold {fold + 1}"
                return
            job.value = float(scores.mean())
            if job.epoch == 1 and not job.stage and self._race is not None:
                job.started_well = self._race.starts_well(job.value)
            if job.epoch == decision and report.running and not self._keeps(job):
                job.outcome = "pruned"
                job.reason = f"{self._options.pruner} after epoch {job.epoch}"
            if not job.stage:  # later folds have other scores, which no other trial may have yet
                job.trial.report(job.value, job.epoch)

    def _epochs_until_decision(self, job: _Job) -> int | None:
        """Epochs until the pruner looks at a trial again; None where it never does."""
        if job.stage:
            return None
        match self._options.pruner:
            case "median":
                return 1
            case "racing":
                assert self._race is not None
                return self._race.epochs_until_rung(job.spec, job.epoch)
            case "halving":
                return next((r - job.epoch for r in self._rungs if r > job.epoch), None)
        return None

    def _promotes(self, job: _Job) -> bool:
        """Whether a trial that has ended a stage goes on to the next one."""
        assert self._race is not None
        return bool(job.stage) or self._race.promotes(job.value)

    def _keeps(self, job: _Job) -> bool:
        pruner, epoch = self._options.pruner, job.epoch
        if pruner == "none" or job.stage:
            return True
        if self._race is not None:
            return self._race.keeps(job.spec, epoch, job.value, job.started_well)
        if pruner == "halving" and epoch not in self._rungs:
            return True
        self._ledger.refresh()
        known = self._ledger.scores(epoch)  # without its own, which is reported later
        rule = pruning.halving if pruner == "halving" else pruning.median
        return bool(rule([job.value], known, self._direction)[0])

    def _end(self, job: _Job, result: TrialResult | None) -> FrozenTrial:
        known = TrialAttributes() if result is None else result_attributes(result)
        attributes = replace(
            known,
            outcome=job.outcome,
            n_weights=job.spec.n_weights,
            engine=job.engine,
            engine_reason=job.engine_reason,
            reason=job.reason,
        )
        set_attributes(job.trial, attributes)
        if job.outcome == "complete":
            ended = self._study.tell(job.trial, job.value)
            self._reserve(job.value, known.seconds or 0.0)
        else:
            pruned = job.outcome in ("pruned", "diverged")
            state = TrialState.PRUNED if pruned else TrialState.FAIL
            ended = self._study.tell(job.trial, state=state)
        del self._jobs[job.trial.number]
        self._is_waiting = False
        return ended

    def _reserve(self, value: float, seconds: float) -> None:
        """Sets time aside for confirming the best trials, now that there is another one."""
        insort(self._complete, (-self._direction.key(value), seconds))
        if self._deadline is not None:
            best = self._complete[: most_confirmed(self._options)]
            times = [seconds for _, seconds in best]
            n_complete, workers = len(self._complete), self._pool.workers
            _, self._reserved = to_confirm(self._options, times, n_complete, workers, self._n_folds)


def result_attributes(result: TrialResult) -> TrialAttributes:
    """A result as attributes of its trial."""
    return TrialAttributes(
        fold_values=tuple(map(float, result.fold_values)),
        train_value=_finite_mean(result.train_values),
        epochs=result.epochs,
        seconds=round(result.seconds, 3),
        curves=result.curves.to_dict(),
        examination=result.examination.to_dict() if result.examination else None,
    )


def _finite_mean(values: tuple[float, ...]) -> float | None:
    mean = float(np.mean(values))
    return mean if np.isfinite(mean) else None
