"""Training one given network on a study's folds: `nas.train`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.about import DEFAULT_STORAGE
from nas.api import import_optuna
from nas.arguments import check_bounds
from nas.choices import ClassWeight, Scaling, TargetScaling, Task
from nas.display import Display
from nas.errors import NasError
from nas.stopping import forget
from nas.study_name import check_study_name
from nas.wording import join_names, score

if TYPE_CHECKING:
    from nas.analysis.diagnosis import Diagnosis
    from nas.preparation import Known, Prepared
    from nas.results import Study
    from nas.spec import Problem, TrialSpec
    from nas.study.record import StudyRecord, TrialRecord


@dataclass(frozen=True)
class Trained:
    """A network that was trained, and its diagnosis.

    Attributes:
        study: The study in which it was recorded.
        trial: Its trial.
        diagnosis: What is wrong with it.
        without_effect: For each parameter whose given value changes nothing, the reason.
    """

    study: "Study"
    trial: "TrialRecord"
    diagnosis: "Diagnosis"
    without_effect: Mapping[str, str]

    def __repr__(self) -> str:
        spec, trial = self.trial.spec, self.trial
        network = spec.describe() if spec else "?"
        known = [value for value in trial.fold_values if isfinite(value)]
        found = score(sum(known) / len(known) if known else None, trial.stderr)
        return f"<nas.Trained trial {trial.number}: {network}, {found}; {self.diagnosis.summary}>"


def train(
    space: Any = "mlp_depth",
    data: Any = None,
    target: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    like: int | None = None,
    folds: Any = None,
    repeats: int | None = None,
    groups: Any = None,
    sample_weight: Any = None,
    class_weight: ClassWeight | None = None,
    time: str | None = None,
    val_size: float | None = None,
    test_size: float | None = None,
    metric: Any = None,
    positive: str | None = None,
    test: Any = None,
    task: Task | None = None,
    drop: Any = None,
    categorical: Any = None,
    numeric: Any = None,
    date: Any = None,
    text: Any = None,
    header: bool | None = None,
    missing: Any = None,
    scaling: Scaling | None = None,
    target_scaling: TargetScaling | None = None,
    quantiles: Any = None,
    image_size: int | None = None,
    classes: Any = None,
    merge_rare: int | None = None,
    max_rows: int | None = None,
    label_noise: float | None = None,
    name: str | None = None,
    storage: str = DEFAULT_STORAGE,
    tensorboard: str | Path | None = None,
    seed: int | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Trained:
    """Trains one given network on a study's folds, records it in the study, and diagnoses it.

    A network that belongs to the study's space counts as one of its trials; any other network is
    recorded as an additional trial. If the study does not exist, it is created with the arguments
    about data and folds. For an existing study these may be left out.

    Args:
        space: As for `nas.search`; gives the parameters that are not set here.
        data: As for `nas.search`.
        target: As for `nas.search`.
        params: Parameters of the network, such as `{"depth": 6}`. All others have the value that
            the space fixes, or else their default.
        like: Number of a trial of the study; all other parameters have its values instead.
        folds: As for `nas.search`, and with its default for a new study, like all arguments that
            are not described here.
        name: Name of the study; None is the name of the space.
        storage: Study database, as an SQLAlchemy URL.
        tensorboard: Folder for learning curves in the format of TensorBoard.
        quiet: Whether to print nothing.
        settings: Parameters of the network, too, such as `depth=6, activation="sigmoid"`.

    Returns:
        The trial and its diagnosis.

    Raises:
        NasError: When an argument cannot be used, or the network cannot be trained.
    """
    check_bounds(
        repeats=(repeats, 1, None),
        val_size=(val_size, 0.01, 0.9),
        test_size=(test_size, 0.0, 0.9),
        seed=(seed, 0, None),
    )
    forget()
    display = Display(quiet)
    with display.working("Reading the data"):
        import_optuna()
        from nas.architectures import CUSTOM
        from nas.preparation import as_space
        from nas.searching import open_study
        from nas.space import changed_spec, checked_settings, given_spec, parse_space
        from nas.study.record import load_study
        from nas.study.storage import open_storage, sqlite_path, study_names

        values = checked_settings({**(params or {}), **settings})
        the_space = as_space(space)
        if the_space.network == CUSTOM:
            raise NasError(
                "space", "got a function", "words of the space language",
                "Search with only these values for its parameters: nas.search(..., trials=1).",
            )  # fmt: skip
        study_name = the_space.name if name is None else name
        check_study_name(study_name)
        given: dict[str, Any] = {
            "target": target, "test": test, "task": task, "groups": groups,
            "class_weight": class_weight, "time": time,
            "sample_weight": sample_weight, "drop": drop,
            "categorical": categorical, "numeric": numeric, "date": date, "text": text,
            "target_scaling": target_scaling, "quantiles": quantiles,
            "header": header, "missing": missing,
            "positive": positive, "scaling": scaling, "image_size": image_size,
            "classes": classes, "merge_rare": merge_rare,
            "max_rows": max_rows, "label_noise": label_noise,
            "folds": folds, "repeats": repeats, "val_size": val_size, "test_size": test_size,
            "seed": seed, "metric": metric,
        }  # fmt: skip
        path = sqlite_path(storage)
        may_be_there = path is None or path.exists()
        is_new = not may_be_there or study_name not in study_names(open_storage(storage))
        spec = None
        if is_new:
            if like is not None:
                raise NasError("--like", f"there is no study '{study_name}' yet", "one with trials")
            prepared = _new(the_space, data, target, given)
            given_space = the_space
            settled = prepared.settings()
            database = open_storage(storage, create=True)
            open_study(database, storage, study_name, settled, prepared.metric)
        else:
            record = load_study(study_name, storage)
            prepared = _existing(record, data, target, given)
            spec = _spec_of(record, like) if like is not None else None
            given_space = the_space if name is None else parse_space(
                record.settings.space, is_stored=True
            )  # fmt: skip
    if is_new:
        display.data(prepared.dataset)
        display.findings(settled.findings)

    def spec_for(problem: "Problem") -> "TrialSpec":
        return changed_spec(spec, values) if spec else given_spec(given_space, values, problem)

    return _train(prepared, spec_for, values, study_name, storage, display, tensorboard)


def train_like(
    study: "Study", known: "Known", like: int, params: Mapping[str, Any], display: Display
) -> Trained:
    """Trains a trial of a study again with other values, on data that is at hand.

    Args:
        study: The study.
        known: Its data, folds and metric.
        like: Number of the trial.
        params: Values that are others, by word.
        display: Where it shows itself.

    Raises:
        NasError: When there is no such trial or value, or the network cannot be trained.
    """
    from nas.preparation import prepare_again
    from nas.space import changed_spec, checked_settings

    values = checked_settings(params)
    spec = changed_spec(_spec_of(study.record, like), values)
    prepared = prepare_again(study.record, known)
    return _train(prepared, lambda _: spec, values, study.name, study.storage, display)


def _train(
    prepared: "Prepared",
    spec_for: "Callable[[Problem], TrialSpec]",
    values: Mapping[str, Any],
    name: str,
    storage: str,
    display: Display,
    tensorboard: Any = None,
) -> Trained:
    """Trains a network, records it in a study that is there, and diagnoses it."""
    from nas.analysis.diagnosis import diagnose_trial
    from nas.preparation import opened_pool, problem_of
    from nas.results import Study
    from nas.searching import live_study, train_given
    from nas.space import without_effect
    from nas.space.vocabulary import WORDS
    from nas.study.record import load_study
    from nas.study.storage import open_storage

    with display.working("Getting ready to train"):
        # Which scaling the network has is known only when its inputs are.
        pool, encoded = opened_pool(prepared, 1, "auto", scalings=WORDS["scaling"].choices)
    with pool:
        spec = spec_for(problem_of(prepared, encoded))
        message, trial = f"Training {spec.describe()}", None
        with (
            display.working(message) as tell,
            live_study(open_storage(storage), storage, name) as live,
        ):
            steps = train_given(live, prepared.space, pool, spec, prepared.split_options.seed)
            for state in steps:
                tell(f"{message}: epoch {state.epoch}, {score(state.value)}")
                trial = state.finished
        assert trial is not None
        if tensorboard is not None:
            from nas.tensorboard import open_runs

            runs = open_runs(Path(tensorboard), load_study(name, storage))
            runs.write(pool, graph_of=trial)
    study = Study(name, storage, prepared.known)
    diagnosis = diagnose_trial(study.record, trial.number)
    return Trained(study, trial, diagnosis, without_effect(values, spec))


def _new(space: Any, data: Any, target: Any, given: Mapping[str, Any]) -> "Prepared":
    from nas.data import SplitOptions
    from nas.preparation import prepare, read_options

    reading = ["test", "class_weight", "time", "task", "drop", "categorical", "numeric", "date"]
    reading += ["text", "header", "missing", "target_scaling", "quantiles"]
    reading += ["positive", "scaling", "image_size", "classes", "merge_rare", "max_rows"]
    reading.append("label_noise")
    of_rows = {name: given[name] for name in ("groups", "sample_weight")}
    options = read_options(
        space, data, target,
        **of_rows,
        **{name: given[name] for name in reading},
    )  # fmt: skip
    dividing = ("repeats", "val_size", "test_size", "seed")
    return prepare(
        space,
        data,
        target,
        options,
        5 if given["folds"] is None else given["folds"],
        SplitOptions(**{k: given[k] for k in dividing if given[k] is not None}),
        metric=given["metric"],
        positive=given["positive"],
        **of_rows,
        test=given["test"],
        scores_test=False,
    )


def _existing(
    record: "StudyRecord", data: Any, target: Any, given: Mapping[str, Any]
) -> "Prepared":
    from nas.analysis.study_data import study_data
    from nas.metrics import choose_metric
    from nas.preparation import Known, prepare_again

    _check_unchanged(record, given)
    dataset, split = study_data(record, data, target)
    metric = given["metric"]
    scorer = choose_metric(metric, dataset) if callable(metric) else record.scorer()
    return prepare_again(record, Known(dataset, split, scorer))


def _check_unchanged(record: "StudyRecord", given: Mapping[str, Any]) -> None:
    """Refuses arguments that an existing study has settled otherwise."""
    from nas.preparation import as_quantiles
    from nas.space.vocabulary import NAME_LISTS

    settled = {
        **asdict(record.settings.data),
        **asdict(record.settings.split),
        "metric": record.metric,
        "positive": record.positive,
    }
    for name, value in given.items():
        old = settled[name]
        if name == "target" and isinstance(value, list | tuple):
            value = join_names(map(str, value)) if all(isinstance(n, str) for n in value) else None
        if name == "quantiles" and value is not None:
            value = as_quantiles(value)
        if name in NAME_LISTS:
            value = None if value is None else _as_names(value)
            old = tuple(old)
        # What is no plain value, such as a splitter or an array, the hashes tell from others.
        if value is None or not isinstance(value, (str, int, float, tuple)) or value == old:
            continue
        shown, mine = (join_names(v) if isinstance(v, tuple) else v for v in (old, value))
        raise NasError(
            f"--{name.replace('_', '-')}",
            f"got '{mine}', but study '{record.name}' has '{shown}'",
            fix="Leave it out, or give another --study.",
        )


def _as_names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _spec_of(record: "StudyRecord", number: int) -> "TrialSpec":
    trial = next((trial for trial in record.trials if trial.number == number), None)
    if trial is None or trial.spec is None:
        known = f"0 to {max((t.number for t in record.trials), default=0)}"
        raise NasError("--like", f"got {number}", f"a trial of study '{record.name}', {known}")
    return trial.spec
