"""The data of a study, read again."""

from dataclasses import replace
from typing import Any

from nas.data import Dataset, Split, load_dataset, split_dataset
from nas.data.from_memory import dataset_from_memory
from nas.errors import NasError
from nas.options import IN_MEMORY, is_source
from nas.study.record import StudyRecord


def study_data(study: StudyRecord, data: Any = None, target: Any = None) -> tuple[Dataset, Split]:
    """Reads the data of a study again, and divides it as its search did.

    Args:
        study: The study.
        data: Where the data lies now, if it was moved; the data itself, if it was in memory.
        target: The target of data in memory, where it is no column of it.

    Raises:
        NasError: When the data has changed since.
    """
    settings = study.settings
    is_moved = data is not None
    if settings.data.source == IN_MEMORY and not is_moved:
        raise NasError(
            study.name,
            "was searched on data in memory, which cannot be read again",
            "the data",
            "Give it again with --data (in Python its target, too).",
        )
    options = settings.data
    if not is_moved:
        dataset = load_dataset(options)
    elif is_source(data):
        options = replace(options, source=str(data))
        dataset = load_dataset(options)
    else:
        dataset = dataset_from_memory(data, target, options)
    if dataset.hash() != settings.data_hash:
        raise NasError(
            options.source if options.source != IN_MEMORY else "--data",
            f"not the data that study '{study.name}' was searched on",
            f"data with the hash {settings.data_hash[:12]}",
            "Give the original with --data.",
        )
    return dataset, split_dataset(dataset, settings.split)
