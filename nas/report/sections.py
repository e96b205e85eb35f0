"""A report, section by section."""

from collections import Counter
from collections.abc import Callable, Sequence

from nas.about import DEFAULT_STORAGE
from nas.analysis.budget import Budget, budget
from nas.analysis.importance import Importance, ranked_parameters
from nas.analysis.levels import searched_parameters, space_of
from nas.errors import NasError
from nas.experiments.baselines import Baseline
from nas.proposal import data_options, in_python_only, search_options
from nas.report.blocks import Block, Code, Picture, Report, Section, Table, Text
from nas.report.diagnosis_section import diagnosis_blocks
from nas.report.figures import (
    baselines_figure,
    budget_figure,
    history_figure,
    pareto_figure,
    score_name,
)
from nas.report.next_steps import command_block
from nas.report.parameter_sections import (
    depth_blocks,
    importance_blocks,
    parallel_blocks,
    significance_blocks,
    slice_blocks,
)
from nas.report.summary import show_score, summarize_in_words, tested_winner
from nas.report.winner_sections import curve_blocks, winner_section
from nas.shell import join
from nas.study.record import StudyRecord
from nas.wording import counted

MAX_REASONS = 8


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
                _section("diagnosis", "Diagnosis", lambda: diagnosis_blocks(record, storage)),
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
            winner_section(record),
            _history(record),
            _section("depth", "What depth does", lambda: depth_blocks(record, storage)),
            _section("importance", "What mattered", lambda: importance_blocks(importance, names)),
            _section("parallel", "Parallel coordinates", lambda: parallel_blocks(record, names)),
            _section("slices", "Score by parameter", lambda: slice_blocks(record, names)),
            _section("curves", "Learning curves", lambda: curve_blocks(record)),
            _section("diagnosis", "Diagnosis", lambda: diagnosis_blocks(record, storage)),
            _section(
                "significance",
                "Which differences are real",
                lambda: significance_blocks(record, names),
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
        command_block(join(command)),
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
