"""The data of a study, read again."""

from typing import Any

from nas.data import DataOptions, Dataset, Split, SplitOptions, load_dataset, split_dataset
from nas.errors import NasError
from nas.study import StudyRecord


def study_data(study: StudyRecord, source: str | None = None) -> tuple[Dataset, Split]:
    """Reads the data of a study again, and divides it as its search did.

    Args:
        study: The study.
        source: Where the data lies now, if it was moved.

    Raises:
        NasError: When the data has changed since.
    """
    settings = study.settings
    saved = settings["data"]
    read: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in saved.items()}
    options = DataOptions(**{**read, "source": source or saved["source"]})
    dataset = load_dataset(options)
    if dataset.hash() != settings["data_hash"]:
        raise NasError(
            options.source,
            f"not the data that study '{study.name}' was searched on",
            f"data with the hash {settings['data_hash'][:12]}",
            "Give the original with --data.",
        )
    return dataset, split_dataset(dataset, SplitOptions(**settings["split"]))
