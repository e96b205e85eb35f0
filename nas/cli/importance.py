"""`nas importance`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from nas.about import DEFAULT_STORAGE
from nas.cli.output import (
    JsonOption,
    StorageOption,
    StudyOption,
    console,
    plain_table,
    print_json,
    say,
    working,
)

BAR_WIDTH = 20


def importance(
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option(help="Draw it to this .html, .png, .svg or .pdf file, too.")
    ] = None,
) -> None:
    """Show which parameters mattered, by fANOVA and by PED-ANOVA."""
    with working("Assessing the parameters"):
        from nas.analysis.importance import importance as assess
        from nas.study.storage import open_optuna_study, open_storage

        result = assess(open_optuna_study(open_storage(storage), study, storage))
    if output is not None:
        from nas.report.figures import importance_figure, save_figure

        save_figure(importance_figure(result), output)
    if as_json:
        print_json(result.shares)
        return
    from nas.analysis.importance import ranked_parameters, rests_on

    say(f"{result.study}")
    table = plain_table("parameter", "fANOVA", "PED-ANOVA")
    for name in ranked_parameters(result):
        cells = [_bar(shares.get(name)) for shares in result.shares.values()]
        table.add_row(name, *cells)
    console.print(table)
    console.print(rests_on(result))
    say(
        "fANOVA: what moves the score over the whole space. "
        "PED-ANOVA: what sets the best tenth of the trials "
        f"({max(1, result.n_complete // 10)} of {result.n_complete}) apart from the rest."
    )
    reasons: dict[str, list[str]] = {}
    for left_out in result.left_out.values():
        for name, reason in left_out.items():
            reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        say(f"Not assessed: {', '.join(names)} ({reason}).")
    if output is not None:
        say(f"Picture: {output}")


def _bar(share: float | None) -> Text:
    if share is None:
        return Text("not assessed", style="dim")
    return Text(f"{share:4.0%} " + "█" * round(share * BAR_WIDTH))
