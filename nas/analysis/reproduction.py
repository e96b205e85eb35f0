"""Commands to run: the options with which a study was made, and long ones on several lines."""

from collections.abc import Mapping
from typing import Any

from nas.shell import split
from nas.study import StudyRecord
from nas.wording import join_names


def data_options(record: StudyRecord) -> list[str]:
    """Options for the data, folds, metric and seed of a study, as words of a command line."""
    data, split = record.settings.data, record.settings.split
    return option_words(
        {
            "data": data.source,
            "target": data.target,
            "task": data.task,
            "groups": data.groups,
            "drop": join_names(data.drop),
            "categorical": join_names(data.categorical),
            "header": data.header,
            "missing": join_names(data.missing),
            "positive": record.positive if record.metric == "f1" else None,
            "scaling": data.scaling if data.scaling != "standard" else None,
            "image-size": data.image_size,
            "classes": join_names(data.classes),
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
    names = ("sampler", "startup_trials", "pruner", "max_params")
    words = option_words({name.replace("_", "-"): getattr(kept, name) for name in names})
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
