"""What a report says, section by section."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nas.about import DEFAULT_STORAGE
from nas.analysis.budget import Budget, budget
from nas.analysis.diagnosis import Diagnosis, diagnose_study
from nas.analysis.effects import Level, parameter_effect
from nas.analysis.experiment import Experiment
from nas.analysis.importance import Importance, ranked_parameters, rests_on
from nas.analysis.levels import depth_word, hidden_layers, searched_parameters, space_of
from nas.analysis.significance import compare_levels, rope_width
from nas.analysis.winner import confirmed, doubts, simplest_equal
from nas.direction import Direction
from nas.errors import NasError
from nas.experiments.baselines import Baseline
from nas.layers import parse_layers
from nas.proposal import (
    call_of,
    command_of,
    data_options,
    in_python_only,
    search_options,
    who_tests,
    wrap_command,
)
from nas.report.blocks import Block, Code, Picture, Report, Section, Table, Text
from nas.report.figures import (
    baselines_figure,
    budget_figure,
    effect_figure,
    has_curves,
    history_figure,
    importance_figure,
    loss_figure,
    parallel_figure,
    pareto_figure,
    score_curves_figure,
    score_name,
    significance_figure,
    slice_figure,
)
from nas.report.layers import describe_layers, draw_layers
from nas.report.summary import show_score, summarize_in_words, tested_winner
from nas.shell import join
from nas.space import shown_value
from nas.study.record import StudyRecord, TrialRecord
from nas.study.storage import with_storage
from nas.wording import counted

MAX_AXES = 8  # of the parallel coordinates, besides the score
MAX_SLICES = 12
MAX_NARROW = 5  # labels side by side that a phone's width holds
MAX_COMPARISONS = 10
CODE_WIDTH = 84  # characters of a command, for which a page has room on paper, too
N_CURVES = 5  # best trials whose learning curves are shown
MAX_REASONS = 8
ROPE = 0.01


def make_report(
    record: StudyRecord,
    importance: Importance | str,
    baselines: Sequence[Baseline] | str,
    storage: str = DEFAULT_STORAGE,
) -> Report:
    """Analyses a study, section by section; what cannot be told says why in a sentence.

    Args:
        record: A study with a trial that ended.
        importance: Its parameters' importance, or why there is none.
        baselines: Plain models' scores, or why there are none.
        storage: The study database, for the commands that it proposes.

    Raises:
        NasError: When no trial has ended.
    """
    if not record.counted:
        raise NasError(
            record.name,
            "no trial has ended",
            "a study with at least one trial",
            "Run 'nas search' first, or wait until it has trained one.",
        )
    if not record.complete:
        return Report(
            record.name,
            summarize_in_words(record),
            _facts(record),
            (
                _history(record),
                _outcomes(record),
                _section("diagnosis", "Diagnosis", lambda: _diagnosis(record, storage)),
                _reproduce(record),
            ),
        )
    known = importance if isinstance(importance, Importance) else None
    plain = baselines if not isinstance(baselines, str) else ()
    names = searched_parameters(record)
    if known is not None:
        ranked = ranked_parameters(known)
        names = [*ranked, *(name for name in names if name not in ranked)]
    trials = budget(record)
    return Report(
        record.name,
        summarize_in_words(record, known, plain, trials),
        _facts(record),
        (
            _winner(record),
            _history(record),
            _section("depth", "What depth does", lambda: _depth(record, storage)),
            _section("importance", "What mattered", lambda: _importance(importance, names)),
            _section("parallel", "Parallel coordinates", lambda: _parallel(record, names)),
            _section("slices", "Score by parameter", lambda: _slices(record, names)),
            _section("curves", "Learning curves", lambda: _curves(record)),
            _section("diagnosis", "Diagnosis", lambda: _diagnosis(record, storage)),
            _section(
                "significance", "Which differences are real", lambda: _significance(record, names)
            ),
            _section("baselines", "Plain models", lambda: _baselines(record, baselines)),
            _section("budget", "Size and budget", lambda: _budget(record, trials)),
            _reproduce(record),
        ),
    )


def _section(name: str, title: str, blocks: Callable[[], Sequence[Block]]) -> Section:
    """A section, or the reason why it cannot be told."""
    try:
        return Section(name, title, tuple(blocks()))
    except NasError as error:
        return Section(name, title, (Text(f"Not available: {_sentence(error)}"),))


def _sentence(error: NasError) -> str:
    text = error.received + (f"; it takes {error.expected}" if error.expected else "")
    return f"{text}. {error.fix}".strip()


def _facts(record: StudyRecord) -> tuple[tuple[str, str], ...]:
    outcomes = Counter(trial.outcome for trial in record.counted)
    seconds = sum(trial.seconds or 0.0 for trial in record.trials)
    facts = []
    if record.complete:
        best, tested = record.best(), tested_winner(record)
        value = show_score(record.metric, best.value or 0.0)
        facts.append(
            (
                value,
                f"{score_name(record)} over the folds"
                if best.stderr is not None
                else f"{score_name(record)} on the validation part",
            )
        )
        if tested is not None:
            facts.append((show_score(record.metric, tested[0]), "on the test part"))
        if best.n_weights is not None:
            facts.append((f"{best.n_weights:,}", "weights"))
    number, noun = counted(len(record.counted), "trial").split()
    facts.append((number, f"{noun}, {outcomes['complete']:,} complete"))
    if seconds:
        facts.append((_duration(seconds), "of training"))
    return tuple(facts)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _with_error(trial: TrialRecord) -> str:
    """A score over folds as the tables of the command line have it."""
    form = ".4f" if abs(trial.value or 0.0) < 100 else ",.2f"
    text = f"{trial.value:{form}}"
    return text + (f" ± {trial.stderr:{form}}" if trial.stderr is not None else "")


def _winner(record: StudyRecord) -> Section:
    best, simplest = record.best(), simplest_equal(record)
    blocks: list[Block] = []
    if best.spec is not None and not best.spec.layers:
        blocks.append(
            Text(f"Not drawn: {best.spec.architecture} has no dense layer and no convolution.")
        )
    elif best.spec is not None:
        blocks.append(
            Picture(
                "layers",
                draw_layers(best.spec),
                f"The network of trial {best.number}, inputs at the top. "
                f"{describe_layers(best.spec)}",
            )
        )
    same = simplest.number == best.number
    trials = (best,) if same else (best, simplest)
    mean = "mean over folds" if best.stderr is not None else "score"
    rows = [
        ("trial", *(str(trial.number) for trial in trials)),
        (mean, *(_with_error(trial) for trial in trials)),
        ("weights", *(f"{trial.n_weights:,}" if trial.n_weights else "–" for trial in trials)),
    ]
    parameters = dict.fromkeys(name for trial in trials for name in trial.params)
    rows += [
        (name.replace("_", " "), *(_value(name, trial.params.get(name)) for trial in trials))
        for name in parameters
    ]
    heads = ("", "winner") if same else ("", "winner", "simplest as good")
    blocks.append(Table(heads, tuple(rows)))
    if best.stderr is None:
        note = "A single split has no standard error: so the uncertainty of the score is unknown."
    elif same:
        note = "No network with fewer weights is within one standard error of the winner."
    else:
        note = (
            f"Trial {simplest.number} has the fewest weights of all within one standard error of "
            "the winner; where size or speed count, take it."
        )
    if (again := confirmed(record)) is not None:
        where = "on fresh folds from fresh seeds" if again.on_fresh_folds else "from fresh seeds"
        others = f", the best of {again.n_trials} trials there" if again.n_trials > 1 else ""
        note += f" Trained again {where} it has {score_name(record)} {again.value:.4g}{others}"
        if again.interval is not None:
            note += f" (95 % interval {again.interval[0]:.4g} to {again.interval[1]:.4g})"
        note += "."
    tested = tested_winner(record)
    if tested is not None:
        value, interval = tested
        note += f" On the test part the winner has {score_name(record)} {value:.4g}"
        if interval is not None:
            note += f" (95 % interval {interval[0]:.4g} to {interval[1]:.4g})"
        note += ", scored once, on rows that no trial saw."
    elif record.settings.split.test_size:
        note += f" The test part is not scored yet: {who_tests(record)} it, once."
    constant = record.settings.constant
    if constant is not None and constant.answer is not None:
        note += (
            f" Predicting '{constant.answer}' for every row has {score_name(record)} "
            f"{constant.value:.4g}."
        )
    blocks.append(Text(note))
    blocks += [Text(f"Doubt: {doubt}") for doubt in doubts(record)]
    blocks += [Text(f"About the data: {finding.text}") for finding in record.settings.findings]
    return Section("winner", "The winner", tuple(blocks))


def _value(parameter: str, value: Any) -> str:
    if value is None:
        return "–"
    value = shown_value(parameter, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _history(record: StudyRecord) -> Section:
    counts = Counter(trial.outcome for trial in record.counted)
    ended = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    caption = f"Based on {counted(len(record.counted), 'trial')} ({ended})"
    caption += ", in the order in which they began. " if len(record.counted) > 1 else ". "
    if record.complete:
        caption += (
            "A line that is flat for long has found what this space and sampler can find. Far "
            "outliers are outside the picture until it is double-clicked."
        )
    else:
        caption += "No dot is filled, as no trial reached its end."
    return Section("history", "History", (Picture("history", history_figure(record), caption),))


def _outcomes(record: StudyRecord) -> Section:
    reasons = Counter((t.outcome, t.reason or "–") for t in record.counted)
    rows = [(outcome, reason, str(n)) for (outcome, reason), n in reasons.most_common(MAX_REASONS)]
    blocks: list[Block] = [Table(("outcome", "reason", "trials"), tuple(rows))]
    if len(reasons) > MAX_REASONS:
        others = counted(len(reasons) - MAX_REASONS, "other reason")
        blocks.append(Text(f"And {others}: see 'nas trials'."))
    return Section("outcomes", "How the trials ended", tuple(blocks))


def _depth(record: StudyRecord, storage: str) -> list[Block]:
    parameter = depth_word(record)
    if not any(parameter in trial.params for trial in record.complete):
        return [Text(f"Not available: this study did not search {parameter}.")]
    effect = parameter_effect(record, parameter)
    caption = effect.rests_on
    if parameter == "layers" and all(isinstance(level.value, str) for level in effect.levels):
        effect = replace(effect, levels=_by_depth(effect.levels))
        caption += " Whole networks, the shallowest first; they may differ in more than depth."
    blocks: list[Block] = [
        Picture(
            "depth",
            effect_figure(effect),
            f"{caption} What to see: whether more layers help, and where the intervals "
            "are so wide that nothing can be said.",
            min_width=60 * len(effect.levels) if len(effect.levels) > MAX_NARROW else 0,
        )
    ]
    if effect.doubt:
        blocks.append(Text(f"Doubt: {effect.doubt}"))
    if effect.experiment:
        blocks.append(Text("This would answer it:"))
        blocks += _experiment(effect.experiment, record, storage)
    return blocks


def _by_depth(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Whole networks with their hidden layers, those with the fewest first."""
    depths = {level.label: sum(map(hidden_layers, parse_layers(level.value))) for level in levels}
    return tuple(
        replace(level, label=f"{level.label}<br>{counted(depths[level.label], 'hidden layer')}")
        for level in sorted(levels, key=lambda level: depths[level.label])
    )


def _importance(importance: Importance | str, names: Sequence[str]) -> list[Block]:
    if isinstance(importance, str):
        return [Text(f"Not available: {importance}")]
    caption = (
        f"{rests_on(importance)} fANOVA says what moves the score over the whole space, PED-ANOVA "
        "what sets the best tenth of the trials apart."
    )
    blocks: list[Block] = [Picture("importance", importance_figure(importance), caption)]
    left_out = dict.fromkeys(name for names in importance.left_out.values() for name in names)
    if left_out:
        blocks.append(
            Text(f"Not assessed by both, as not every trial has them: {', '.join(left_out)}.")
        )
    return blocks


def _parallel(record: StudyRecord, names: Sequence[str]) -> list[Block]:
    _need_several(record, names)
    shown = list(names[:MAX_AXES])
    caption = (
        f"Based on {len(record.complete)} complete trials; each is a line through its parameters "
        "to its score. Where the lines of the best run together, the value matters; a click in "
        "the legend hides a group."
    )
    if len(names) > len(shown):
        caption += f" Of {len(names)} parameters the {len(shown)} that mattered most are drawn."
    picture = Picture(
        "parallel", parallel_figure(record, shown), caption, min_width=90 * (len(shown) + 1)
    )
    return [picture]


def _slices(record: StudyRecord, names: Sequence[str]) -> list[Block]:
    _need_several(record, names)
    text = (
        f"Based on {len(record.complete)} complete trials, each a dot; the diamond is the winner, "
        "and triangles stand for far outliers beyond the edge. "
        "The other parameters vary too, so that a slope may be theirs."
    )
    if len(names) > MAX_SLICES:
        text += f" Not drawn, as they mattered least: {', '.join(names[MAX_SLICES:])}."
    return [
        Text(text),
        *(
            Picture(f"slice-{name}", slice_figure(record, name), f"Score by {name}.", small=True)
            for name in names[:MAX_SLICES]
        ),
    ]


def _need_several(record: StudyRecord, names: Sequence[str]) -> None:
    if len(record.complete) < 2 or not names:
        raise NasError(
            record.name,
            "nothing differs between the complete trials",
            "two complete trials with different parameters",
        )


def _curves(record: StudyRecord) -> list[Block]:
    best = record.best()
    sign = Direction(record.direction).sign
    ranked = sorted(record.complete, key=lambda t: (-sign * (t.value or 0.0), t.number))
    first = [best, *(trial for trial in ranked if trial.number != best.number)][:N_CURVES]
    n_folds = len(best.fold_values)
    band = f", the band from the lowest to the highest of {n_folds} folds" if n_folds > 1 else ""
    blocks: list[Block] = []
    if has_curves(best):
        blocks.append(
            Picture(
                "loss",
                loss_figure(best),
                f"The winner's loss; the line is the mean{band}. Training loss includes penalties "
                "and dropout. Validation loss that rises while the training loss falls is "
                "over-fitting; two lines that still fall want more epochs.",
            )
        )
    else:
        blocks.append(Text("Losses were not recorded: the study is of an older version of nas."))
    if any(trial.epoch_values for trial in first):
        n_others = len(first) - 1
        others = f"the next {n_others} as means" if n_others else "no other is complete"
        if n_others == 1:
            others = "the next one as a mean"
        caption = f"The winner's validation score{band if has_curves(best) else ''}; {others}."
        blocks.append(
            Picture(
                "scores",
                score_curves_figure(record, first),
                caption + " Lines that cross late say that an early end would have chosen another.",
            )
        )
    return blocks


def _diagnosis(record: StudyRecord, storage: str) -> list[Block]:
    found = diagnose_study(record)
    blocks: list[Block] = [Text(found.summary)]
    if found.counts:
        rows = tuple((title, str(count)) for title, count in found.counts)
        blocks.append(Table(("main cause", "trials"), rows))
    if found.best is not None:
        blocks += _one_diagnosis(
            f"The winner, trial {found.best.trial}", found.best, record, storage
        )
    elif record.complete:
        blocks.append(Text("The winner was not examined."))
    for diagnosis in found.worst:
        title = f"Trial {diagnosis.trial}, among the worst"
        blocks += _one_diagnosis(title, diagnosis, record, storage)
    return blocks


def _one_diagnosis(
    title: str, diagnosis: Diagnosis, record: StudyRecord, storage: str
) -> list[Block]:
    blocks: list[Block] = [Text(f"{title}. {diagnosis.summary}")]
    if diagnosis.causes:
        rows = tuple((cause.title, cause.evidence) for cause in diagnosis.causes)
        blocks.append(Table(("cause", "evidence"), rows))
        cause = diagnosis.causes[0]
        if cause.experiment:
            blocks += _experiment(cause.experiment, record, storage)
        else:
            blocks.append(Text(f"What to try: {cause.advice}."))
    return blocks


def _experiment(experiment: Experiment, record: StudyRecord, storage: str) -> list[Block]:
    """What to type for an experiment."""
    command = command_of(experiment, record)
    if command:
        return [_command(command, storage)]
    called = Text("In Python, where study is what nas.search returned:")
    return [called, Code(call_of(experiment, CODE_WIDTH))]


def _command(command: str, storage: str = DEFAULT_STORAGE) -> Code:
    return Code(wrap_command(with_storage(command, storage), CODE_WIDTH))


def _significance(record: StudyRecord, names: Sequence[str]) -> list[Block]:
    best = record.best()
    if len(best.fold_values) < 2:
        return [Text("Not available: a single split says nothing of the spread between folds.")]
    depth = depth_word(record)
    chosen = [depth] if depth in names else []
    chosen += [name for name in names if name != depth][:1]
    rope = rope_width(record, ROPE)
    blocks: list[Block] = []
    for name in chosen:
        comparisons = compare_levels(record, name, ROPE)
        if not comparisons:
            continue
        shown = comparisons[:MAX_COMPARISONS]
        unshown = len(comparisons) - len(shown)
        caption = (
            f"{name.replace('_', ' ').capitalize()}: the best network of each value against that "
            f"of another, paired over {len(best.fold_values)} folds, with the 95 % interval of the "
            "corrected resampled t-test. An interval inside the green region is "
            f"practically no difference (± {rope:.2g}), one outside of it a real one; any other is "
            "open."
        )
        figure = significance_figure(shown, rope, len(best.fold_values))
        if figure.layout.xaxis.range is not None:
            caption += " Intervals that reach an edge of the picture end beyond it"
            if any("triangle" in str(trace.marker.symbol) for trace in figure.data):
                caption += ", and triangles stand for differences there"
            caption += "."
        if unshown:
            pairs = "further pair is" if unshown == 1 else "further pairs are"
            caption += f" {unshown} {pairs} in 'nas explain'."
        blocks.append(
            Picture(f"significance-{'depth' if name == depth else name}", figure, caption)
        )
    return blocks or [
        Text("Not available: there are no two values with complete trials to compare.")
    ]


def _baselines(record: StudyRecord, baselines: Sequence[Baseline] | str) -> list[Block]:
    if isinstance(baselines, str):
        return [Text(f"Not available: {baselines}")]
    caption = (
        "Models of scikit-learn with their defaults, on the same folds and the same test part. "
        "The winner is the best of many, so its score over the folds is too good; the test part "
        "is fair to all."
    )
    notes = [Text(f"{b.name.capitalize()}: {b.note}.") for b in baselines if b.note]
    if not any(baseline.value is not None for baseline in baselines):
        return [Text("Not available: the data are too large for the plain models."), *notes]
    return [Picture("baselines", baselines_figure(record, baselines), caption), *notes]


def _budget(record: StudyRecord, trials: Budget) -> list[Block]:
    blocks: list[Block] = [Text(trials.advice)]
    if len(trials.expected) > 1:
        blocks.append(
            Picture(
                "budget",
                budget_figure(trials),
                "The expected best score of this number of trials, drawn from those of this study. "
                "Where the line is flat, more of the same will not help.",
            )
        )
    if len(record.complete) > 1:
        blocks.append(
            Picture(
                "pareto",
                pareto_figure(record),
                f"Score against weights of {len(record.complete)} complete trials; the line joins "
                "those that no smaller one beats.",
            )
        )
    return blocks


def _reproduce(record: StudyRecord) -> Section:
    settings = record.settings
    versions = ", ".join(f"{name} {version}" for name, version in settings.versions.items())
    command = ["nas", "search", "--space", "space.yaml", "--study", f"{record.name}-again"]
    command += ["--trials", str(len(record.counted)), *data_options(record)]
    command += [*search_options(record), "--workers", "1"]
    space = space_of(record)
    again: tuple[Block, ...] = (
        Text("Save the space as space.yaml:"),
        Code(settings.space.rstrip()),
        Text("Then search:"),
        _command(join(command)),
    )
    if space.function:
        words = settings.space.splitlines()[2:]  # behind the family and the function
        again = (
            Text("The function that builds the networks:"),
            Code(space.function),
            Text("How they are trained, beside what the function says:"),
            Code("\n".join(words) or "# as without any words"),
        )
    elif only := in_python_only(record):
        were = "was" if len(only) == 1 and only != ("folds",) else "were"
        parts = " and ".join(f"its {part}" for part in only)
        again = (
            Text("The space:"),
            Code(settings.space.rstrip()),
            Text(
                f"No command can repeat it: {parts} {were} given in Python. Call nas.search with "
                "the same again."
            ),
        )
    return Section(
        "reproduce",
        "How to reproduce it",
        (
            *again,
            Text(
                f"It used nas {settings.nas_version}, {versions}; data with the hash "
                f"{settings.data_hash[:12]}, folds with {settings.split_hash[:12]}. With one "
                "worker the same seed gives the same trials and scores."
            ),
        ),
    )
