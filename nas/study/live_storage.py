"""What a search asks of the storage that it runs on, beyond what Optuna does."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial


class LiveStorage(BaseStorage):
    """An Optuna storage for the process that runs a search; it renews the lease of the search.

    To be closed after use; it is a context manager for that.

    Args:
        database: Where everything ends.
    """

    def __init__(self, database: BaseStorage) -> None:
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def flush(self) -> None:
        """Has everything that was written in the database now."""

    @abstractmethod
    def changed(self, study_id: int, since: int = 0) -> tuple[int, list[FrozenTrial]]:
        """The trials that changed, oldest change first, and perhaps others; none copied.

        Args:
            study_id: Their study.
            since: The version that an earlier call returned; 0 for all trials.

        Returns:
            The version of now, and the trials.
        """

    @abstractmethod
    def close(self) -> None:
        """Has everything in the database, and gives the lease up."""

    # What only goes on to the database

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return self._database.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        self._database.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._database.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._database.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._database.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._database.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._database.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._database.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._database.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._database.get_all_studies()

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._database.get_trial_id_from_study_id_trial_number(study_id, trial_number)

    def remove_session(self) -> None:
        """Closes the calling thread's connection."""
        self._database.remove_session()
