"""`nas data`: looking at data before anything is trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from nas.cli.data_options import (
    CategoricalOption,
    ClassesOption,
    DateOption,
    DropOption,
    GroupsOption,
    HeaderOption,
    ImageSizeOption,
    MaxRowsOption,
    MergeRareOption,
    MissingOption,
    NumericOption,
    PositiveOption,
    QuantilesOption,
    SampleWeightOption,
    ScalingOption,
    TargetOption,
    TargetScalingOption,
    TaskOption,
    TestOption,
    TextOption,
    TimeOption,
    names_of,
)
from nas.cli.output import JsonOption, console, plain_table, print_json, say
from nas.errors import visible
from nas.wording import counted

if TYPE_CHECKING:
    from nas.data.description import DescribedColumn

app = typer.Typer(
    help="Look at data as a search reads it.", no_args_is_help=True, rich_markup_mode="rich"
)
MOST_CLASSES = 10
LONGEST_NAME = 24
LEAST_VALUES = 12  # characters of the last column


@app.command()
def show(
    data: Annotated[str, typer.Argument(help="As --data of 'nas search'.", metavar="DATA")],
    target: TargetOption = None,
    test: TestOption = None,
    task: TaskOption = None,
    drop: DropOption = None,
    categorical: CategoricalOption = None,
    numeric: NumericOption = None,
    date: DateOption = None,
    text: TextOption = None,
    header: HeaderOption = None,
    missing: MissingOption = None,
    groups: GroupsOption = None,
    sample_weight: SampleWeightOption = None,
    time: TimeOption = None,
    scaling: ScalingOption = "standard",
    target_scaling: TargetScalingOption = "standard",
    quantiles: QuantilesOption = None,
    positive: PositiveOption = None,
    image_size: ImageSizeOption = None,
    classes: ClassesOption = None,
    merge_rare: MergeRareOption = None,
    max_rows: MaxRowsOption = None,
    metric: Annotated[str | None, typer.Option(help="Metric of the search.")] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page, too, with skrub's look at each column.", metavar="FILE"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show columns and target, what a search does with each, and what is suspicious."""
    from nas.described_data import describe_data

    described = describe_data(
        data,
        target,
        test=test,
        task=task,
        drop=names_of(drop) or (),
        categorical=names_of(categorical) or (),
        numeric=names_of(numeric) or (),
        date=names_of(date) or (),
        text=names_of(text) or (),
        header=header,
        missing=names_of(missing) or (),
        groups=groups,
        sample_weight=sample_weight,
        time=time,
        scaling=scaling,
        target_scaling=target_scaling,
        quantiles=names_of(quantiles) or (),
        positive=positive,
        image_size=image_size,
        classes=names_of(classes) or (),
        merge_rare=merge_rare,
        max_rows=max_rows,
        metric=metric,
        html=html,
    )
    if as_json:
        print_json(described.to_dict())
        return
    say(described.summary)
    for note in described.notes:
        say(note)
    if described.columns:
        table = plain_table("column", "kind", "missing", "distinct", right=("missing", "distinct"))
        cells = [_cells(column) for column in described.columns]
        left = console.width
        for k, shown in enumerate(table.columns):  # only the last one may lose its end
            longest = max(len(text) for text in (str(shown.header), *(row[k] for row in cells)))
            shown.no_wrap, shown.width = True, min(longest, LONGEST_NAME)
            left -= shown.width + 2
        # With a width of its own: rich takes what is too much from all columns alike.
        table.add_column(
            "values, or why it is left out",
            no_wrap=True,
            overflow="ellipsis",
            width=max(left, LEAST_VALUES),
        )
        for row in cells:
            table.add_row(*map(Text, row))
        console.print(table)
        say(
            "Numbers are scaled, and missing ones are marked. Each category becomes a column, and "
            "so does each frequent word of a text. A date becomes days, season, weekday and time "
            "of day. --json tells what is done with each column."
        )
    for line in _target(described.target, described.n_rows, described.task):
        say(line)
    if described.repeated:
        rows = counted(described.repeated, "row")
        say(f"{rows} are there more than once, with the same features and target.")
    if described.rare:
        say(f"Rare classes, with fewer than ten rows: {', '.join(described.rare)}")
    for finding in described.findings:
        say(f"Note: {finding.text}")
    if html is not None:
        say(f"Wrote {html}.")


def _cells(column: "DescribedColumn") -> tuple[str, ...]:
    return (
        visible(column.name),
        column.kind,
        "" if column.missing is None else _share(column.missing),
        "" if column.distinct is None else f"{column.distinct:,}",
        visible(column.treatment if column.kind == "left out" else column.values),
    )


def _share(share: float) -> str:
    if not share:
        return "0"
    return "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def _target(target: Mapping[str, float], n_rows: int, task: str) -> list[str]:
    """A line for the target, or for each of several."""
    if task == "regression":
        lines: dict[str, list[str]] = {}
        for key, value in target.items():
            name, _, of = key.rpartition(": ")
            lines.setdefault(name, []).append(f"{of} {value:,g}")
        return [
            f"Target{f' {visible(name)}' if name else ''}: {', '.join(told)}"
            for name, told in lines.items()
        ]
    shown = [f"'{name}' {n:,} ({_share(n / n_rows)})" for name, n in target.items()]
    more = f" and {len(shown) - MOST_CLASSES} more" if len(shown) > MOST_CLASSES else ""
    return ["Target: " + ", ".join(shown[:MOST_CLASSES]) + more]
