"""`nas best`, `nas trials` and `nas study`: reading studies."""

import csv
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

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
    show_params,
)
from nas.wording import score, with_interval

if TYPE_CHECKING:
    from nas.study.record import TrialRecord

app = typer.Typer(
    help="List, show and delete studies.", no_args_is_help=True, rich_markup_mode="rich"
)


def best(
    study: StudyOption = None, storage: StorageOption = DEFAULT_STORAGE, as_json: JsonOption = False
) -> None:
    """Show the winner, how certain its score is, and the simplest network that is as good."""
    from nas.analysis.winner import summarize
    from nas.proposal import who_tests
    from nas.study.record import load_study

    record = load_study(study, storage)
    summary = summarize(record)
    if as_json:
        print_json(summary)
        return
    winner, simplest, again = record.best(), summary["simplest"], summary["confirmed"]
    say(f"{record.name}: {record.metric_title}, {record.direction}")
    table = plain_table("", "winner", "simplest within one standard error")
    rows: list[tuple[str, Any, Any]] = [
        ("trial", winner.number, simplest["trial"]),
        (
            "mean over folds" if winner.stderr is not None else "score",
            score(winner.value, winner.stderr),
            score(simplest["value"]),
        ),
        ("weights", f"{winner.n_weights:,}", f"{simplest['n_weights']:,}"),
    ]
    rows.extend(
        (name, _cell(name, winner.params.get(name)), _cell(name, simplest["params"].get(name)))
        for name in dict.fromkeys([*winner.params, *simplest["params"]])
    )
    for name, left, right in rows:
        table.add_row(name, str(left), str(right))
    console.print(table)
    say("folds  " + "  ".join(score(value) for value in winner.fold_values))
    if again:
        where = "on fresh folds" if again["on_fresh_folds"] else "from fresh seeds"
        say(f"again  {with_interval(again['value'], again['interval'])} {where}")
    if summary["test_value"] is not None:
        say(f"test   {with_interval(summary['test_value'], summary['test_interval'])}")
    elif record.settings.split.test_size:
        say(f"test   not scored yet: {who_tests(record)} it, once")
    constant = record.settings.constant
    if constant is not None and constant.answer is not None:
        say(f"guess  {score(constant.value)} for always '{constant.answer}'")
    for doubt in summary["doubts"]:
        say(f"doubt  {doubt}")


def _cell(parameter: str, value: Any) -> str:
    from nas.space import shown_value

    if value is None:
        return "–"
    value = shown_value(parameter, value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def trials(
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """List every trial with its score, or the reason why it has none."""
    from nas.study.record import load_study

    record = load_study(study, storage)
    if as_json:
        print_json([trial.to_dict() for trial in record.trials])
    elif as_csv:
        _print_csv(record.trials)
    else:
        table = plain_table(
            "trial", "outcome", "score", "train", "weights", right=("trial", "score", "weights")
        )
        # Only the last column may lose its end on a narrow terminal.
        for column in table.columns:
            column.no_wrap = True
        table.add_column("network")
        for trial in record.trials:
            outcome: str = trial.outcome
            if outcome != "complete" and trial.epoch_values:
                outcome = f"{outcome} (epoch {max(trial.epoch_values)})"
            table.add_row(
                str(trial.number),
                outcome,
                score(trial.value, trial.stderr),
                score(trial.train_value),
                f"{trial.n_weights:,}" if trial.n_weights is not None else "–",
                Text(_network_or_reason(trial), no_wrap=True, overflow="ellipsis"),
            )
        console.print(table)


def _network_or_reason(trial: "TrialRecord") -> str:
    if trial.outcome not in ("complete", "pruned", "running"):
        return trial.reason
    return trial.spec.describe() if trial.spec else show_params(trial.params)


def _print_csv(records: "tuple[TrialRecord, ...]") -> None:
    names = list(dict.fromkeys(name for record in records for name in record.params))
    n_folds = max((len(record.fold_values) for record in records), default=0)
    columns = ["trial", "outcome", "value", "stderr", "train_value"]
    columns += ["n_weights", "seconds", "engine", "reason"]
    writer = csv.writer(sys.stdout)
    writer.writerow([*columns, *(f"fold_{k + 1}" for k in range(n_folds)), *names])
    for record in records:
        row = record.to_dict()
        folds = [*row["fold_values"], *[None] * (n_folds - len(record.fold_values))]
        writer.writerow([row[c] for c in columns] + folds + [record.params.get(n) for n in names])


@app.command("list")
def list_studies(storage: StorageOption = DEFAULT_STORAGE, as_json: JsonOption = False) -> None:
    """List the studies of the database; the latest comes last."""
    from nas.study.study_list import summarize_studies

    rows = [
        (study.name, study.n_trials, study.n_complete, study.metric, study.best)
        for study in summarize_studies(storage)
    ]
    keys = ("study", "n_trials", "n_complete", "metric", "best")
    if as_json:
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    table = plain_table(
        "study", "trials", "complete", "metric", "best", right=("trials", "complete", "best")
    )
    for name, n_trials, n_complete, metric, value in rows:
        table.add_row(name, str(n_trials), str(n_complete), metric, score(value))
    console.print(table)


@app.command()
def show(
    study: Annotated[str | None, typer.Argument(help="\\[default: the latest]")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
    space: Annotated[
        bool, typer.Option("--space", help="Print only the search space, as YAML.")
    ] = False,
) -> None:
    """Show the data, folds, space and versions of a study, and how its trials ended."""
    from nas.study.record import load_study

    record = load_study(study, storage)
    if space:
        print(record.settings.space, end="")
        return
    outcomes = [trial.outcome for trial in record.trials]
    counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
    if as_json:
        left_out = ("metric", "positive", "version")
        rest = {k: v for k, v in record.settings.to_attributes().items() if k not in left_out}
        print_json(
            {
                "study": record.name,
                "metric": record.metric,
                "positive": record.positive,
                "direction": record.direction,
                "outcomes": counts,
                "winner": record.winner or None,
                **rest,
            }
        )
        return
    settings = record.settings
    say(f"{record.name}: {record.metric_title}, {record.direction}")
    table = plain_table("", "")
    table.add_row("trials", ", ".join(f"{n} {outcome}" for outcome, n in counts.items()) or "none")
    table.add_row(
        "data",
        f"{settings.data.source} ({settings.task}, hash {settings.data_hash[:12]})",
    )
    shown = {k: v for k, v in asdict(settings.split).items() if v != ""}
    table.add_row("split", ", ".join(f"{k} {v}" for k, v in shown.items()))
    table.add_row("versions", ", ".join(f"{k} {v}" for k, v in settings.versions.items()))
    table.add_row("searched", settings.searched_at[:19].replace("T", " ") + " UTC")
    console.print(table)
    console.print(settings.space, end="")


@app.command()
def delete(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    storage: StorageOption = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Delete it even while a search runs on it; that search then ends."
        ),
    ] = False,
) -> None:
    """Delete a study and its trials. A saved model is kept."""
    from nas.study.record import check_not_searched, delete_study, load_study
    from nas.wording import counted

    record = load_study(study, storage)
    if not force:
        check_not_searched(study, storage)
    if not yes:
        trials = counted(len(record.trials), "trial")
        typer.confirm(f"Delete study '{study}' with {trials}?", abort=True)
    delete_study(study, storage, force=force)
    say(f"Deleted study '{study}'.")
