"""`nas train` and `nas diagnose`: one given network, and what is wrong with a network."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.about import DEFAULT_STORAGE
from nas.choices import ClassWeight, Scaling, TargetScaling
from nas.cli.data_options import (
    CLASS_WEIGHT,
    LABEL_NOISE,
    SCALING,
    TARGET_SCALING,
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
    TargetOption,
    TaskOption,
    TestOption,
    TextOption,
    TimeOption,
    names_of,
)
from nas.cli.output import (
    JsonOption,
    StorageOption,
    StudyOption,
    TensorboardOption,
    console,
    plain_table,
    print_json,
    say,
    show_experiment,
)
from nas.wording import score

if TYPE_CHECKING:
    from nas.analysis.diagnosis import Diagnosis
    from nas.study.record import StudyRecord, TrialRecord

BLOCKS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 40  # characters of a learning curve


def train(
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A parameter and its value, such as depth=4; repeat it for each parameter.",
        ),
    ] = None,
    space: Annotated[
        str,
        typer.Option(
            help="Gives the parameters that --set does not: the values that this space fixes, else "
            "the defaults."
        ),
    ] = "mlp_depth",
    like: Annotated[
        int | None,
        typer.Option(
            help="Trial of the study that gives all other parameters, instead of the space."
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="Study in which it is recorded. \\[default: the space's name]"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data of a new study, as for nas search, or the new place of a study's data. "
            "\\[default: the study's, or the data that the space names]"
        ),
    ] = None,
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
    scaling: Annotated[Scaling | None, SCALING] = None,
    target_scaling: Annotated[TargetScaling | None, TARGET_SCALING] = None,
    quantiles: QuantilesOption = None,
    image_size: ImageSizeOption = None,
    classes: ClassesOption = None,
    merge_rare: MergeRareOption = None,
    max_rows: MaxRowsOption = None,
    label_noise: Annotated[float | None, LABEL_NOISE] = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric of a new study. \\[default: by the task]")
    ] = None,
    positive: PositiveOption = None,
    folds: Annotated[
        int | None, typer.Option(min=1, help="Folds of a new study. \\[default: 5]")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="How often the cross-validation is repeated. \\[default: 1]"),
    ] = None,
    groups: GroupsOption = None,
    sample_weight: SampleWeightOption = None,
    class_weight: Annotated[ClassWeight | None, CLASS_WEIGHT] = None,
    time: TimeOption = None,
    val_size: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.9,
            help="Share of the rows for validation, with --folds 1. \\[default: 0.2]",
        ),
    ] = None,
    test_size: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=0.9, help="Share of the rows for the test; 0 is none. \\[default: 0.2]"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a new study. \\[default: 0]")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    tensorboard: TensorboardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train one given network on the study's folds, record it in the study, and diagnose it.

    A network that belongs to the study's space counts as one of its trials; any other network is
    recorded as an additional trial. If the study does not exist, it is created with the options
    about data and folds.
    """
    from nas.one_network import train as run
    from nas.space import load_space, parse_settings

    values = parse_settings(settings or [])
    trained = run(
        load_space(space),
        data,
        target,
        params=values,
        like=like,
        folds=folds,
        repeats=repeats,
        groups=groups,
        sample_weight=sample_weight,
        class_weight=class_weight,
        time=time,
        val_size=val_size,
        test_size=test_size,
        metric=metric,
        positive=positive,
        test=test,
        task=task,
        drop=names_of(drop),
        categorical=names_of(categorical),
        numeric=names_of(numeric),
        date=names_of(date),
        text=names_of(text),
        header=header,
        missing=names_of(missing),
        scaling=scaling,
        target_scaling=target_scaling,
        quantiles=names_of(quantiles),
        image_size=image_size,
        classes=names_of(classes),
        merge_rare=merge_rare,
        max_rows=max_rows,
        label_noise=label_noise,
        name=study,
        storage=storage,
        tensorboard=tensorboard,
        seed=seed,
        quiet=as_json,
    )
    spec, trial = trained.trial.spec, trained.trial
    assert spec is not None
    if as_json:
        told = _plain(trained.diagnosis, trained.study.record)
        print_json({**told, "trial_record": trial.to_dict()})
        return
    say(f"{spec.describe()}, {spec.n_weights:,} weights", "Network")
    for reason in trained.without_effect.values():
        say(f"Without effect: {reason}.", "Note")
    _show_trial(trained.study.record, trial)
    _show(trained.diagnosis, trained.study.record, storage)


def diagnose(
    trial: Annotated[
        int | None,
        typer.Option(help="Number of a trial. \\[default: the whole study]"),
    ] = None,
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Say why networks are bad: causes, their evidence, and the next experiment for each."""
    from nas.analysis.diagnosis import diagnose_study, diagnose_trial
    from nas.study.record import load_study

    record = load_study(study, storage)
    if trial is not None:
        diagnosis = diagnose_trial(record, trial)
        if as_json:
            print_json(_plain(diagnosis, record))
            return
        _show_trial(record, next(t for t in record.trials if t.number == trial))
        _show(diagnosis, record, storage)
        return
    whole = diagnose_study(record)
    if as_json:
        print_json(
            {
                "study": record.name,
                "n_examined": whole.n_examined,
                "counts": dict(whole.counts),
                "best": _plain(whole.best, record) if whole.best else None,
                "worst": [_plain(diagnosis, record) for diagnosis in whole.worst],
                "summary": whole.summary,
            }
        )
        return
    say(f"{record.name}: {whole.summary}")
    if whole.counts:
        table = plain_table("first cause", "trials", right=("trials",))
        for title, count in whole.counts:
            table.add_row(title, str(count))
        console.print(table)
    trials = {t.number: t for t in record.trials}
    if whole.best is not None:
        say("")
        say(f"The best, trial {whole.best.trial}")
        _show_trial(record, trials[whole.best.trial])
        _show(whole.best, record, storage)
    for diagnosis in whole.worst:
        say("")
        say(f"Among the worst, trial {diagnosis.trial}")
        _show_trial(record, trials[diagnosis.trial])
        _show(diagnosis, record, storage)


def _show_trial(record: "StudyRecord", trial: "TrialRecord") -> None:
    """The learning curves and the layers of a trial."""
    from nas.wording import counted

    known = [value for value in trial.fold_values if math.isfinite(value)]
    mean = sum(known) / len(known) if known else None
    say(
        f"trial {trial.number}, {trial.outcome}: {record.metric_title} "
        f"{score(mean, trial.stderr)} over {counted(len(trial.fold_values), 'fold')}, "
        f"{score(trial.train_value)} on training rows",
        "Trial",
    )
    if trial.curves is not None:
        table = plain_table("", "first", "", "last", right=("first", "last"))
        curves = (
            ("training loss", trial.curves.train_loss),
            ("validation loss", trial.curves.val_loss),
            (f"validation {record.metric_title}", trial.curves.val_value),
        )
        for label, curve in curves:
            means = [_mean(row) for row in curve]
            if means:
                table.add_row(label, _number(means[0]), _drawn(means), _number(means[-1]))
        console.print(table)
    exam = trial.examination
    if exam is not None and trial.spec is not None and trial.spec.hidden:
        table = plain_table(
            "layer", "units", "gradient", "step", "dead", "satur.", "rank", "probe",
            right=("units", "gradient", "step", "dead", "satur.", "rank", "probe"),
        )  # fmt: skip
        table.add_row("inputs", "", "", "", "", "", "", _number(exam.probe[0]))
        for k, layer in enumerate(trial.spec.hidden):
            table.add_row(
                str(k + 1),
                " x ".join(map(str, layer.output_shape)),
                _number(exam.gradient_before[k]),
                _number(exam.last_step[k]),
                _percent(exam.dead[k]),
                _percent(exam.saturated[k]),
                _number(exam.rank[k]),
                _number(exam.probe[k + 1]),
            )
        table.add_row(
            "output",
            str(trial.spec.problem.n_outputs),
            _number(exam.gradient_before[-1]),
            _number(exam.last_step[-1]),
            "", "", "",
            _number(exam.val_value),
        )  # fmt: skip
        console.print(table)


def _plain(diagnosis: "Diagnosis", record: "StudyRecord") -> dict[str, Any]:
    """A diagnosis as plain data for JSON, its experiments as what to type."""
    from nas.proposal import propose

    causes = [
        {
            **asdict(cause),
            "experiment": propose(cause.experiment, record) if cause.experiment else "",
        }
        for cause in diagnosis.causes
    ]
    return {**asdict(diagnosis), "causes": causes}


def _show(diagnosis: "Diagnosis", record: "StudyRecord", storage: str) -> None:
    say(diagnosis.summary, "Result")
    for cause in diagnosis.causes:
        say(f"{cause.title}: {cause.evidence}.", "Cause")
        if cause.experiment:
            show_experiment(cause.experiment, record, storage, "  try")
        else:
            say(cause.advice, "  try")


def _mean(values: tuple[float, ...]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _drawn(values: list[float]) -> str:
    """A curve in blocks, one for each epoch, or for several where there are many."""
    if len(values) > CURVE_WIDTH:
        last = len(values) - 1
        values = [values[round(k * last / (CURVE_WIDTH - 1))] for k in range(CURVE_WIDTH)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    steps = (high - low) or 1.0
    return "".join(
        BLOCKS[round((value - low) / steps * (len(BLOCKS) - 1))] if math.isfinite(value) else "×"
        for value in values
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"
