"""A study in Python: its results as data and figures.

The file is long because it is one class: all that a study offers, most of it docstrings.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import optuna
import pandas as pd
from numpy.typing import NDArray

from nas.analysis.winner import simplest_equal, summarize
from nas.errors import NasError, did_you_mean, in_python
from nas.study.record import StudyRecord, TrialRecord, study_record
from nas.study.storage import open_optuna_study, open_storage, storage_errors
from nas.wording import score, with_interval

if TYPE_CHECKING:
    import keras
    import plotly.graph_objects as go

    from nas.analysis.diagnosis import Diagnosis, StudyDiagnosis
    from nas.analysis.explanation import Explanation
    from nas.choices import Ensemble
    from nas.ensemble import Tell
    from nas.experiments.baselines import Baseline
    from nas.families.suggestions import BuildModel
    from nas.preparation import Known

FigureName = Literal[
    "history", "parallel", "pareto", "importance", "slice", "effect", "curves", "baselines",
    "budget",
]  # fmt: skip


@dataclass(frozen=True)
class Best:
    """The winner of a study: the complete trial with the best mean score over its folds.

    Where the best trials were trained again, it is the one with the best score there.

    Attributes:
        number: Number of the trial.
        params: The parameters that were searched.
        value: Mean score over the folds. It is a little too good, because it is the best of many.
        stderr: Standard error of `value`; None with one fold.
        fold_values: Score of each fold.
        confirmed: Mean score on fresh folds, or with folds of your own from fresh seeds, which did
            not choose among all trials; None where the best trials were not trained again.
        confirmed_interval: 95 % interval of `confirmed`.
        test_value: Score on the test part, which was used neither for training nor for selection.
            None without a test part, and before the winner is trained on all folds together.
        test_interval: 95 % interval of `test_value`.
        n_weights: Weights of the network.
        network: The network in short, such as `3 x 64 relu, adam 0.001`.
        simplest: Number of the trial with the fewest weights among those within one standard error
            of the winner.
        doubts: Reasons to doubt the winner, one sentence each.
    """

    number: int
    params: dict[str, Any]
    value: float
    stderr: float | None
    fold_values: tuple[float, ...]
    confirmed: float | None
    confirmed_interval: tuple[float, float] | None
    test_value: float | None
    test_interval: tuple[float, float] | None
    n_weights: int | None
    network: str
    simplest: int
    doubts: tuple[str, ...]


class Study:
    """A study: its trials, its winner, and what can be learned from them.

    `nas.search` and `nas.load` return one. It reads the database when it is first asked for
    something; `nas.load` reads the database again.

    Args:
        name: Name of the study; None is the one that was searched last.
        storage: The study database, as an SQLAlchemy URL.
        known: The data, and the other things that a study does not keep. Without it, the data is
            read again when it is needed.

    Attributes:
        name: Name of the study.
        storage: The study database, as an SQLAlchemy URL.
        optuna: Optuna's own study.
        not_kept: Why the baselines could not be kept in the study; usually empty.
    """

    def __init__(
        self,
        name: str | None,
        storage: str,
        known: "Known | None" = None,
    ) -> None:
        self.storage = storage
        self.optuna: optuna.Study = open_optuna_study(open_storage(storage), name, storage)
        self.name = self.optuna.study_name
        self._known = known
        self.not_kept = ""  # why baselines could not be kept

    @cached_property
    def record(self) -> StudyRecord:
        """Everything that the database holds about the study, as frozen dataclasses."""
        with storage_errors(self.storage):
            return study_record(self.optuna)

    @property
    def best(self) -> Best:
        """The winner.

        `study.optuna.best_trial` is the same trial, unless several trials have the best score:
        then Optuna takes the first one in its cache. Optuna knows neither the standard error nor
        the test score.

        Raises:
            NasError: When no trial is complete.
        """
        trial, summary = self.record.best(), summarize(self.record)
        interval, again = summary["test_interval"], summary["confirmed"]
        assert trial.value is not None
        return Best(
            number=trial.number,
            params=dict(trial.params),
            value=trial.value,
            stderr=trial.stderr,
            fold_values=trial.fold_values,
            confirmed=again["value"] if again else None,
            confirmed_interval=again["interval"] if again else None,
            test_value=summary["test_value"],
            test_interval=(interval[0], interval[1]) if interval else None,
            n_weights=trial.n_weights,
            network=trial.spec.describe() if trial.spec else "",
            simplest=simplest_equal(self.record).number,
            doubts=tuple(map(in_python, summary["doubts"])),
        )

    @property
    def trials(self) -> pd.DataFrame:
        """All trials, one per row: outcome, score, size, time, folds and parameters."""
        return trials_frame(self.record.trials)

    def importance(self) -> pd.DataFrame:
        """The importance of each parameter (rows) by each evaluator (columns); see docs/explain.md.

        Raises:
            NasError: When too few trials are complete.
        """
        from nas.analysis.importance import importance

        shares = importance(self.optuna).shares
        frame = pd.DataFrame(shares)
        return frame.sort_values(frame.columns[0], ascending=False)

    def explain(self, parameter: str | None = None, rope: float = 0.01) -> "Explanation":
        """What a parameter does to the score, and how sure that is.

        Where the trials cannot tell, each effect has the experiment that would; `nas.run` does it.

        Args:
            parameter: A searched parameter. None is depth if it was searched, otherwise the most
                important parameter.
            rope: Differences of the score up to this size count as practically equal.

        Raises:
            NasError: When there is no such parameter, or too few trials are complete.
        """
        from nas.analysis.explanation import explain

        return explain(self.record, self.optuna, [parameter] if parameter else [], rope)

    def diagnose(self, trial: int | None = None) -> "Diagnosis | StudyDiagnosis":
        """Why a network is bad: causes with their evidence, and the next experiment for each.

        `nas.run` does such an experiment.

        Args:
            trial: Number of a trial; None diagnoses the whole study.
        """
        from nas.analysis.diagnosis import diagnose_study, diagnose_trial

        if trial is None:
            return diagnose_study(self.record)
        return diagnose_trial(self.record, trial)

    def baselines(self) -> "tuple[Baseline, ...]":
        """Plain models of scikit-learn on the same folds.

        They are trained the first time, and then kept in the study.
        """
        from nas.experiments.baselines import load_baselines, run_baselines

        kept = load_baselines(self.record)
        if not kept:
            known = self.known()
            kept = run_baselines(known.dataset, known.split, known.metric)
            try:
                with storage_errors(self.storage):
                    self.optuna.set_user_attr("baselines", [plain.to_dict() for plain in kept])
                self._forget()
            except NasError as error:  # they are worth something all the same
                self.not_kept = f"Not kept: {error.on_command_line}"
        return kept

    def figure(self, name: FigureName, parameter: str | None = None) -> "go.Figure":
        """A Plotly figure.

        Args:
            name: Which figure.
            parameter: The parameter that `slice` and `effect` are about; None is the one that
                `explain` takes.
        """
        figures = _figures(self, parameter)
        if name not in figures:
            raise NasError(
                "--name", f"got '{name}'", "one of " + ", ".join(figures),
                did_you_mean(name, figures),
            )  # fmt: skip
        return figures[name]()

    def report(self, path: str | Path, *, baselines: bool = True) -> Path:
        """Writes a report on the whole study to one file.

        Args:
            path: An `.html` file, which needs no internet connection, or an `.md` file, which gets
                a folder of pictures beside it.
            baselines: Whether to train plain models on the same folds, if there are none yet.
        """
        from nas.report.whole import write_report

        path = Path(path)
        plain: Any = "left out."
        if not self.record.complete:
            plain = "there is no winner to compare them with."
        elif baselines:
            try:
                plain = self.baselines()
            except NasError as error:
                plain = f"{error}."
        write_report(self.record, self.optuna, plain, path, self.storage)
        return path

    def export(
        self,
        path: str | Path,
        data: Any = None,
        target: Any = None,
        *,
        format: str | None = None,
        trial: 'int | Literal["simplest"] | None' = None,
        ensemble: "Ensemble | None" = None,
        calibrate: bool = False,
        build_model: "BuildModel | None" = None,
        workers: int | None = None,
        progress: "Tell" = lambda done, of: None,
    ) -> Path:
        """Saves the winner, trained on everything but the test part, and tested.

        What the search has saved is not trained again.

        Args:
            path: A `.keras` file. It loads with Keras alone and takes raw data. Its card is written
                beside it, as JSON and, for people, in Markdown. Or a file of another format.
            data: The study's data, if the file was moved or the data was in memory.
            target: The target, if the data was in memory.
            format: `keras`, `savedmodel`, `onnx`, `litert`, `openvino`, or `code` for a program
                that trains the winner; None goes by the ending of the path. What a file answers is
                compared with Keras on real rows first. See docs/formats.md.
            trial: Number of another complete trial than the winner, or `simplest` for the one with
                the fewest weights among those within one standard error of the winner.
            ensemble: Several networks in one model instead, which answer together: `"folds"` for
                the winner trained on each fold, or a number N, at most 20, for those of the N best
                trials that predict best together (docs/commands.md).
            calibrate: Whether the probabilities of a classifier are corrected by a temperature, so
                that they are as often right as they say. It is found on the folds, for which the
                winner is trained on each of them again.
            build_model: The function that builds the models, if the study is about a function and
                was loaded from the database.
            workers: Number of processes that train an ensemble; None is the number of cores.
            progress: Called after each trial of an ensemble, with how many of how many are trained.

        Returns:
            The path.
        """
        from nas.arguments import ensemble_of, trial_of
        from nas.engines.startup import start_tensorflow
        from nas.execution.processes import default_workers
        from nas.exporting import check_export, export_model
        from nas.formats.endings import format_of

        path = Path(path)
        kind, several = format_of(path, format), ensemble_of(ensemble)
        is_plain = several is None and not calibrate
        one = trial_of(trial)
        number = simplest_equal(self.record).number if one == "simplest" else one
        if number is not None and not is_plain:
            raise NasError("--trial", "given beside --ensemble or --calibrate", "one of them")
        is_winner = is_plain and number in (None, self.record.best().number)
        check_export(self.record, self.storage, path, kind, is_winner, is_plain, calibrate)
        if number is not None:
            self.record.only(number)  # says at once if there is none
        known = self.known(data, target, build_model)
        if is_plain:  # else the workers come first, which may take the GPUs
            start_tensorflow()
        n_workers = default_workers() if workers is None else workers
        export_model(
            self.record, self.storage, path, known, kind, several, calibrate, n_workers, progress,
            number,
        )  # fmt: skip
        self._forget()
        return path

    def model(self) -> "keras.Model":
        """The winner as a Keras model that takes raw data.

        It is trained and saved first, unless that was done.
        """
        return self._loaded()[1]

    def predict(self, data: Any) -> NDArray[Any]:
        """Predicts the class or value of each row with the winner; shape (n_rows,).

        Of several targets, or of quantiles, the values of each: shape (n_rows, n_values).

        Args:
            data: Rows like those of the search: a file, a table or an array. Columns that the
                search did not use are ignored.
        """
        from nas.saved_model import predict_rows

        return predict_rows(*self._loaded(), data).answers

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """Predicts the probability of each class (columns) for each row with the winner.

        Raises:
            NasError: When the task is regression.
        """
        from nas.saved_model import predict_rows

        predicted = predict_rows(*self._loaded(), data)
        if predicted.probabilities is None:
            raise NasError(self.name, "predicts numbers, which have no probabilities")
        return predicted.probabilities

    def _loaded(self) -> "tuple[Path, keras.Model, dict[str, Any]]":
        from nas.engines.startup import start_tensorflow
        from nas.model_card import default_model_path, is_winner

        path = default_model_path(self.storage, self.name)
        start_tensorflow()
        if not is_winner(path, self.record):
            from nas.refit import refit

            refit(None, self.record, self.storage, path, self.known())
            self._forget()
        from nas.saved_model import load_model

        return path, *load_model(path)

    def known(
        self, data: Any = None, target: Any = None, build: "BuildModel | None" = None
    ) -> "Known":
        """Its data, folds, metric and function, at hand or read again.

        Args:
            data: Its data, where it was moved or was in memory.
            target: Its target, where the data was in memory.
            build: The function that builds its networks.

        Raises:
            NasError: When only Python had some of it, and it is not at hand.
        """
        if data is None and build is None and self._known is not None:
            return self._known
        from nas.analysis.study_data import study_data
        from nas.preparation import Known

        dataset, split = study_data(self.record, data, target)
        metric = self._known.metric if self._known is not None else self.record.scorer()
        return Known(dataset, split, metric, build)

    def _forget(self) -> None:
        self.__dict__.pop("record", None)

    def __repr__(self) -> str:
        return f"<nas.Study '{self.name}': {self._summary()}>"

    def _summary(self) -> str:
        record = self.record
        done = f"{len(record.counted)} trials"
        if not record.complete:
            return f"{done}, none complete"
        best = self.best
        text = f"{done}, best {record.metric_title} {score(best.value, best.stderr)}"
        if best.test_value is not None:
            interval = list(best.test_interval) if best.test_interval else None
            text += f", test {with_interval(best.test_value, interval)}"
        return f"{text} ({best.network})"

    def _repr_html_(self) -> str:
        head = f"<p><b>{escape(self.name)}</b>: {escape(self._summary())}</p>"
        frame = self.trials
        shown = ["trial", "outcome", "value", "stderr", "n_weights", *self._params()]
        better_last = self.record.direction == "minimize"
        ranked = frame.sort_values("value", ascending=better_last, na_position="last")
        return head + ranked[[c for c in shown if c in ranked]].head(10).to_html(index=False)

    def _params(self) -> list[str]:
        return list(dict.fromkeys(name for trial in self.record.trials for name in trial.params))


def trials_frame(trials: tuple[TrialRecord, ...]) -> pd.DataFrame:
    """Trials as a table: outcome, scores, size and time, then the folds, then the parameters."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    n_folds = max((len(trial.fold_values) for trial in trials), default=0)
    rows = []
    for trial in trials:
        folds = [*trial.fold_values, *[None] * (n_folds - len(trial.fold_values))]
        rows.append(
            {
                "trial": trial.number,
                "outcome": trial.outcome,
                "value": trial.value,
                "stderr": trial.stderr,
                "train_value": trial.train_value,
                "n_weights": trial.n_weights,
                "seconds": trial.seconds,
                "engine": trial.engine,
                "reason": trial.reason,
                **{f"fold_{k}": value for k, value in enumerate(folds, start=1)},
                **{name: trial.params.get(name) for name in names},
            }
        )
    fixed = ["trial", "outcome", "value", "stderr", "train_value"]
    fixed += ["n_weights", "seconds", "engine", "reason"]
    return pd.DataFrame(rows, columns=[*fixed, *(f"fold_{k + 1}" for k in range(n_folds)), *names])


def _figures(study: Study, parameter: str | None) -> Mapping[str, "Callable[[], go.Figure]"]:
    from nas.analysis.budget import budget
    from nas.analysis.importance import importance, ranked_parameters
    from nas.report import figures

    record = study.record

    def names() -> list[str]:
        return ranked_parameters(importance(study.optuna))

    def chosen() -> str:
        return parameter or study.explain().effects[0].parameter

    return {
        "history": lambda: figures.history_figure(record),
        "parallel": lambda: figures.parallel_figure(record, names()),
        "pareto": lambda: figures.pareto_figure(record),
        "importance": lambda: figures.importance_figure(importance(study.optuna)),
        "slice": lambda: figures.slice_figure(record, chosen()),
        "effect": lambda: figures.effect_figure(study.explain(parameter).effects[0]),
        "curves": lambda: figures.score_curves_figure(record, record.complete),
        "baselines": lambda: figures.baselines_figure(record, study.baselines()),
        "budget": lambda: figures.budget_figure(budget(record)),
    }


def studies_frame(storage: str) -> pd.DataFrame:
    """The studies of a database, the one that was searched last at the end."""
    from nas.study.study_list import summarize_studies

    columns = {
        "name": "study",
        "metric": "metric",
        "n_trials": "trials",
        "n_complete": "complete",
        "best": "best",
    }
    rows = [asdict(summary) for summary in summarize_studies(storage)]
    return pd.DataFrame(rows, columns=list(columns)).rename(columns=columns)
