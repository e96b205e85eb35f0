"""The storage of a running search where there are only the calls that every storage of Optuna has.

Each write goes to the storage below at once, since nothing else is known of it. Searches on an SQL
database write behind instead, which costs a trial far less.
"""

import copy
import threading
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from nas.errors import NasError
from nas.study.live_storage import LiveStorage
from nas.study.owner import RENEWAL, Lease

INTERVAL = 1.0  # seconds between two looks at other processes' trials


class EndedElsewhereError(StorageInternalError):
    """A trial that was to be written to has ended, or is not there."""


class WriteThrough(LiveStorage):
    """A storage of Optuna's, with the lease of a search of one study.

    An error of the thread that renews the lease is raised by the next write.

    Args:
        database: Any storage that several threads may use.
        study_id: The study that is searched.
        name: Its name, for messages.
        lease: The lease of the search. As no other study ever has it, it tells the study from a
            later one with its id, too.
    """

    def __init__(self, database: BaseStorage, study_id: int, name: str, lease: Lease) -> None:
        super().__init__(database)
        self._study_id, self._name = study_id, name
        self._lease = lease
        self._error: Exception | None = None
        self._trials: list[FrozenTrial] = []
        self._finished: dict[int, FrozenTrial] = {}  # by id, in order
        self._read_at: float | None = None  # None where a trial began or ended since
        database.set_study_system_attr(study_id, lease.key, lease.next_value())
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def check_there(self) -> None:
        """Raises unless the study is still there.

        Raises:
            NasError: When it was deleted.
        """
        if not self._is_there():
            raise NasError(
                f"study '{self._name}'",
                "was deleted while it was in use",
                fix="The same command makes it anew.",
            )

    def flush(self) -> None:
        self._check()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        try:
            if self._is_there():  # there is no call that deletes it
                self._database.set_study_system_attr(self._study_id, self._lease.key, None)
        finally:
            self._lease.release()
        self._check()

    def changed(self, study_id: int, since: int = 0) -> tuple[int, list[FrozenTrial]]:
        # A version is how many trials, from the first, had ended: those never change.
        self._check()
        now = time.monotonic()
        if self._read_at is None or now - self._read_at >= INTERVAL:
            self._read_at = now
            self._trials = self.get_all_trials(study_id, deepcopy=False)
        trials, version = self._trials, since
        while version < len(trials) and trials[version].state.is_finished():
            version += 1
        return version, trials[since:]

    # Trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._check()
        self._read_at = None
        return self._database.create_new_trial(study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        with self._writing():
            self._database.set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self._read_at = None
        with self._writing():
            return self._database.set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        with self._writing():
            self._database.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._writing():
            self._database.set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._writing():
            self._database.set_trial_system_attr(trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._database.get_trial(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = self._database.get_all_trials(study_id, deepcopy, states)
        if states is None and trials and trials[-1].number >= len(trials):
            # A server may know a new trial of its own before an older one of another process.
            trials = [trial for place, trial in enumerate(trials) if trial.number == place]
        return [self._in_order(trial) for trial in trials]

    def _in_order(self, trial: FrozenTrial) -> FrozenTrial:
        """With parameters by name: a proxy has them in any order, which a sampler would follow."""
        known = self._finished.get(trial._trial_id)
        if known is None:
            known = copy.copy(trial)
            known.params = dict(sorted(trial.params.items()))
            known.distributions = dict(sorted(trial.distributions.items()))
            if trial.state.is_finished():
                self._finished[trial._trial_id] = known
        return known

    # Errors, and the lease

    def _is_there(self) -> bool:
        try:
            return self._lease.key in self._database.get_study_system_attrs(self._study_id)
        except KeyError:
            return False

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around a write to a trial of this search."""
        self._check()
        try:
            yield
        except (UpdateFinishedTrialError, KeyError) as error:
            self.check_there()
            raise EndedElsewhereError("another process ended or deleted a trial") from error

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _renew(self) -> None:
        while not self._closed.wait(RENEWAL):
            try:
                self.check_there()
                self._database.set_study_system_attr(
                    self._study_id, self._lease.key, self._lease.next_value()
                )
            except Exception as error:
                self._error = error
                if isinstance(error, NasError):  # it will not come back
                    return
