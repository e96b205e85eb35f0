"""What is proposed to type: an experiment as a command, or as a call in Python.

A command cannot have what was given as an object of Python: there the call stands instead.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from nas.analysis.experiment import Experiment, LookAtData, SearchAgain, TrainAgain
from nas.analysis.levels import show_value, space_of
from nas.options import IN_MEMORY
from nas.shell import join, option, quoted, split
from nas.space import (
    Choice,
    Constant,
    Parameter,
    Range,
    SearchSpace,
    shown_value,
    space_from_mapping,
)
from nas.study.record import StudyRecord
from nas.wording import join_names

CALL_WIDTH = 84  # characters of a line of Python


def in_python_only(record: StudyRecord) -> tuple[str, ...]:
    """What of a study was given as an object of Python, of its data, folds and metric."""
    given = {
        "data": record.settings.data.source == IN_MEMORY,
        "folds": bool(record.settings.split.given),
        "test part": bool(record.settings.split.given_test),
        "metric": record.settings.own_metric,
    }
    return tuple(part for part, is_given in given.items() if is_given)


def who_tests(record: StudyRecord) -> str:
    """What scores the winner of a study on the test part."""
    if in_python_only(record):
        return "nas.search and study.export do"
    return "'nas search' and 'nas export' do"


def propose(experiment: Experiment, record: StudyRecord) -> str:
    """What to type for an experiment: a command, or a call where no command can do it."""
    return command_of(experiment, record) or call_of(experiment)


def command_of(experiment: Experiment, record: StudyRecord) -> str:
    """An experiment as a command; empty where only Python has what it takes.

    Args:
        experiment: What to do.
        record: The study that it is about.
    """
    missing = in_python_only(record)
    match experiment:
        case LookAtData():  # at what the database holds
            return f"nas study show {quoted(record.name)}"
        case TrainAgain(like, params):
            if {"data", "metric"} & {*missing}:  # the study keeps folds, but no command takes them
                return ""
            settings = [option("set", f"{key}={_setting(key, v)}") for key, v in params.items()]
            words = ["nas train", option("study", record.name), f"--like {like}", *settings]
            return " ".join(words)
        case SearchAgain(metric=metric):
            if {*missing} - ({"metric"} if metric else set()):
                return ""
            return _search_command(experiment, record)


def _setting(key: str, value: Any) -> str:
    value = shown_value(key, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _exactly(key: str, value: Any) -> str:
    """A value with all its digits, so that it is trained again and not its neighbour."""
    value = shown_value(key, value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _search_command(experiment: SearchAgain, record: StudyRecord) -> str:
    """Writes the space into a file, and searches it."""
    space, mine = space_from_mapping(experiment.space), space_of(record)
    file = f"{space.name}.yaml"
    if (space.network, space.parameters) == (mine.network, mine.parameters):
        # The file that the space was read from may be gone, or a recipe.
        new = f"nas study show {quoted(record.name)} --space > {quoted(file)}"
    else:
        new = f"nas space new {quoted(file)} {_space_options(space)}"
    usual = SearchAgain({})
    options = {
        "space": file,
        "sampler": experiment.sampler if experiment.sampler != usual.sampler else None,
        "pruner": experiment.pruner,
        "trials": experiment.trials if experiment.trials != usual.trials else None,
    }
    scored = replace(record, metric=experiment.metric or record.metric)
    return f"{new} && nas search {join([*option_words(options), *data_options(scored)])}"


def _space_options(space: SearchSpace) -> str:
    words = [f"--network {space.network}"] * (space.network != "mlp")
    for key, entry in space.parameters.items():
        words.append(f"--{key.replace('_', '-')} {quoted(_space_option(key, entry))}")
    return " ".join(words)


def _space_option(key: str, entry: Parameter) -> str:
    """An entry as a value of `nas space new`."""
    match entry.domain:
        case Constant(value):
            text = show_value(key, value)
        case Choice(values):
            text = ",".join(show_value(key, value) for value in values)
        case Range(low, high, log, step, prior):
            digits = 6 if step is None else 15  # with which steps still meet the end
            text = f"{low:.{digits}g}:{high:.{digits}g}" + ":log" * log
            text += f":step={step:.{digits}g}" if step is not None else ""
            text += f":prior={prior:.{digits}g}" if prior is not None else ""
    return text + ":per_layer" * entry.per_layer


def call_of(experiment: Experiment, width: int = CALL_WIDTH) -> str:
    """An experiment as a call in Python, where `study` is the study that it is about.

    Args:
        experiment: What to do.
        width: Characters that a line holds, unless a single value is longer.
    """
    kind = f"nas.{type(experiment).__name__}"
    usual = {f.name: f.default for f in fields(experiment)}
    given = {name: getattr(experiment, name) for name in usual}
    given = {name: value for name, value in given.items() if value != usual[name]}
    arguments = ", ".join(f"{name}={_in_python(value)}" for name, value in given.items())
    line = f"nas.run({kind}({arguments}), study)"
    if len(line) <= width:
        return line
    lines = ["nas.run(", f"    {kind}("]
    for name, value in given.items():
        if isinstance(value, Mapping):
            lines.append(f"        {name}={{")
            lines += [f"            {key!r}: {_in_python(v)}," for key, v in value.items()]
            lines.append("        },")
        else:
            lines.append(f"        {name}={_in_python(value)},")
    return "\n".join([*lines, "    ),", "    study,", ")"])


def _in_python(value: Any) -> str:
    """A value as Python code, with what `import nas` offers."""
    match value:
        case Range(low, high, log, step, prior):
            words = [repr(low), repr(high), *["log=True"] * log]
            words += [f"step={step!r}"] * (step is not None)
            words += [f"prior={prior!r}"] * (prior is not None)
            return f"nas.Range({', '.join(words)})"
        case Constant(constant):
            return repr(constant)
        case Choice(values):
            return repr([*values])
        case Parameter(domain, when, per_layer):
            words = [_in_python(domain), *["per_layer=True"] * per_layer]
            words += [f"{key}={[*values]!r}" for key, values in when.items()]
            return f"nas.parameter({', '.join(words)})"
        case Mapping():
            return "{" + ", ".join(f"{k!r}: {_in_python(v)}" for k, v in value.items()) + "}"
    return repr(value)


def data_options(record: StudyRecord) -> list[str]:
    """Options for the data, folds, metric and seed of a study, as words of a command line."""
    data, split = record.settings.data, record.settings.split
    return option_words(
        {
            "data": data.source,
            "target": data.target,
            "test": data.test,
            "task": data.task,
            "groups": data.groups,
            "sample-weight": data.sample_weight,
            "class-weight": data.class_weight if data.class_weight != "none" else None,
            "time": data.time,
            "drop": join_names(data.drop),
            "categorical": join_names(data.categorical),
            "numeric": join_names(data.numeric),
            "date": join_names(data.date),
            "text": join_names(data.text),
            "header": data.header,
            "missing": join_names(data.missing),
            "positive": record.positive if record.metric == "f1" else None,
            "scaling": data.scaling if data.scaling != "standard" else None,
            "quantiles": join_names(f"{q:g}" for q in data.quantiles),
            "target-scaling": data.target_scaling if data.target_scaling != "standard" else None,
            "image-size": data.image_size,
            "classes": join_names(data.classes),
            "merge-rare": data.merge_rare,
            "max-rows": data.max_rows,
            "label-noise": data.label_noise or None,
            "metric": record.metric,
            "folds": split.folds,
            "repeats": split.repeats if split.repeats > 1 else None,
            "val-size": split.val_size if split.folds == 1 else None,
            "test-size": split.test_size,
            "seed": split.seed,
        }
    )


def search_options(record: StudyRecord) -> list[str]:
    """Options for sampler, pruner and the rest; none for a study that does not keep them."""
    kept = record.settings.search
    if kept is None:
        return []
    names = ("sampler", "startup_trials", "pruner", "confirm", "max_params")
    words = option_words({name.replace("_", "-"): getattr(kept, name) for name in names})
    for settings in kept.enqueue:
        texts = (f"{key}={_exactly(key, value)}" for key, value in settings.items())
        words += ["--enqueue", ",".join(texts)]
    return words + ["--allow-duplicates"] * kept.allow_duplicates


def wrap_command(command: str, width: int) -> str:
    """Breaks a command before its options, with backslashes, so that it can still be copied.

    Args:
        command: One line, as `nas.shell` writes it, and `&&` between commands.
        width: Characters that a line holds, unless a single option is longer.
    """
    lines: list[str] = []
    for word in split(command):
        if not lines or lines[-1].endswith("&&"):
            lines.append(word)
        elif word.lstrip("$'").startswith("--"):
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}"
    wrapped = lines[:1]
    for line in lines[1:]:
        joined = f"{wrapped[-1]} {line.lstrip()}"
        if wrapped[-1].endswith("&&") or len(joined) > width - 2:
            wrapped.append(line)
        else:
            wrapped[-1] = joined
    ends = ["" if line.endswith("&&") else " \\" for line in wrapped[:-1]]
    return "\n".join(line + end for line, end in zip(wrapped, [*ends, ""], strict=True))


def option_words(options: Mapping[str, Any]) -> list[str]:
    """Options and their values as words of a command line; None and "" are left out."""
    words: list[str] = []
    for name, value in options.items():
        if value is False:
            words.append(f"--no-{name}")
        elif value is True:
            words.append(f"--{name}")
        elif value not in (None, ""):
            # A value such as -1 would be read as another option.
            dash = str(value).startswith("-")
            words += [f"--{name}={value}"] if dash else [f"--{name}", str(value)]
    return words
