"""The options of `nas search` with which a study was made."""

from typing import Any

from nas.study import StudyRecord


def data_options(record: StudyRecord) -> list[str]:
    """Options for the data, folds, metric and seed of a study, as words of a command line."""
    data, split = record.settings["data"], record.settings["split"]
    return _words(
        {
            "data": data["source"],
            "target": data["target"],
            "task": data["task"],
            "groups": data["groups"],
            "drop": ",".join(data["drop"]),
            "categorical": ",".join(data["categorical"]),
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


def _words(options: dict[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value not in (None, "")}
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]
