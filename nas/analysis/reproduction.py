"""Commands to run: the options with which a study was made, and long ones on several lines."""

from dataclasses import asdict
from typing import Any

from nas.data import DataOptions
from nas.shell import split
from nas.study import StudyRecord


def data_options(record: StudyRecord) -> list[str]:
    """Options for the data, folds, metric and seed of a study, as words of a command line."""
    saved, split = record.settings["data"], record.settings["split"]
    data = {**asdict(DataOptions(saved["source"])), **saved}  # an older study lacks newer options
    return _words(
        {
            "data": data["source"],
            "target": data["target"],
            "task": data["task"],
            "groups": data["groups"],
            "drop": ",".join(data["drop"]),
            "categorical": ",".join(data["categorical"]),
            "scaling": data["scaling"] if data["scaling"] != "standard" else None,
            "image-size": data["image_size"],
            "classes": ",".join(data["classes"]),
            "max-rows": data["max_rows"],
            "label-noise": data["label_noise"] or None,
            "metric": record.metric,
            "folds": split["folds"],
            "repeats": split["repeats"] if split["repeats"] > 1 else None,
            "val-size": split["val_size"] if split["folds"] == 1 else None,
            "test-size": split["test_size"],
            "seed": split["seed"],
        }
    )


def search_options(record: StudyRecord) -> list[str]:
    """Options for sampler, pruner and the rest; none for a study that does not keep them."""
    kept = record.settings.get("search", {})
    names = ("sampler", "startup_trials", "pruner", "max_params")
    words = _words({name.replace("_", "-"): kept.get(name) for name in names})
    return words + ["--allow-duplicates"] * bool(kept.get("allow_duplicates"))


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


def _words(options: dict[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value not in (None, "")}
    return [word for name, value in given.items() for word in _option(name, str(value))]


def _option(name: str, value: str) -> list[str]:
    """As one word where the value would be taken for an option."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]
