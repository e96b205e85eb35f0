"""What a search asks of the storage that it runs on, beyond what Optuna does."""

from abc import abstractmethod
from typing import Self

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial


class LiveStorage(BaseStorage):
    """An Optuna storage for the process that runs a search; it renews the lease of the search.

    To be closed after use; it is a context manager for that.
    """

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
