"""What is in some data, and what a search will do with it, before anything is trained."""

from pathlib import Path
from typing import Any

import pandas as pd

from nas.arguments import check_bounds
from nas.data.description import DescribedData, describe
from nas.errors import NasError
from nas.model_card import check_output


def describe_data(
    data: Any,
    target: Any = None,
    *,
    groups: Any = None,
    sample_weight: Any = None,
    positive: str | None = None,
    metric: Any = None,
    test_size: float = 0.2,
    seed: int = 0,
    html: str | Path | None = None,
    **reading: Any,
) -> DescribedData:
    """Describes data as a search reads it: columns, target, and what is suspicious.

    Args:
        data: As for `nas.search`, like all arguments that are not described here.
        target: As for `nas.search`.
        groups: As for `nas.search`.
        sample_weight: As for `nas.search`.
        positive: As for `nas.search`.
        metric: As for `nas.search`.
        test_size: As for `nas.search`.
        seed: Seed of the split, whose parts are searched for rows that occur in several.
        html: An `.html` file to write, which has skrub's look at each column, too; for tables.
        reading: Other arguments of `nas.search` about the data, such as `drop` or `categorical`.

    Raises:
        NasError: When the data cannot be read.
    """
    check_bounds(test_size=(test_size, 0.0, 0.9))
    if html is not None:
        check_output(Path(html), ".html")
    if data is None:
        raise NasError("--data", "none was given", "a file, a known data set, or a table")
    from nas.data import SplitOptions
    from nas.data.findings import find
    from nas.preparation import prepare, read_options, usual_space
    from nas.space import load_space

    space = load_space(usual_space(data))
    of_rows = {"groups": groups, "sample_weight": sample_weight}
    options = read_options(space, data, target, **of_rows, positive=positive, **reading)
    split_options = SplitOptions(test_size=test_size, seed=seed)
    prepared = prepare(
        space, data, target, options, None, split_options, metric=metric, positive=positive,
        **of_rows,
    )  # fmt: skip
    findings = find(prepared.dataset, prepared.split, prepared.metric.name)
    described = describe(prepared.dataset, findings)
    if html is not None:
        from nas.report.data_page import write_data_page

        write_data_page(described, _frame(data, options.header), Path(html))
    return described


def _frame(data: Any, header: bool | None) -> pd.DataFrame:
    """The table as it is in its file or in memory."""
    from nas.data.from_memory import frame_of
    from nas.data.table_file import read_tables
    from nas.data.table_kinds import table_kind
    from nas.options import is_source

    if not is_source(data):
        return frame_of(data)
    if table_kind(Path(str(data))) is None:
        raise NasError("--html", f"got {data}", "a table, which has columns")
    return read_tables(str(data), header).frame
