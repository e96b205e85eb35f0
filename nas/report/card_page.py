"""A model's card as a page for people, in Markdown."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nas.report.predicting import program
from nas.wording import counted, score, with_interval

HEAD = "# Model card: "
MOST_INPUTS = 20


def card_page(card: Mapping[str, Any], path: Path) -> str:
    """The page.

    Args:
        card: A card of `nas export`.
        path: The model.
    """
    return "\n".join(_lines(card, path)) + "\n"


def _lines(card: Mapping[str, Any], path: Path) -> Iterator[str]:
    metric, tested = card["metric"], card.get("test_value")
    yield f"{HEAD}{path.name}"
    yield ""
    what = "an ensemble" if card.get("ensemble") else f"trial {card['trial']}"
    yield f"{_task(card)}, {what} of the study '{card['study']}'."
    yield ""
    yield "## How good it is"
    yield ""
    if tested is None:
        yield f"It was not tested: no rows were set aside. Over the folds {metric} is"
        yield f"{score(card['value'], card['stderr'])}, the best of many, and so a little too good."
    else:
        told = with_interval(tested, card.get("test_interval"))
        yield f"{metric} {told} on {counted(card['n_test_rows'], 'row')} that it has never seen;"
        yield f"{score(card['value'], card['stderr'])} over the folds, which chose it."
    yield ""
    yield from _measures(card.get("measures") or {})
    yield from _baselines(card)
    yield from _inputs(card)
    yield "## What it was trained on"
    yield ""
    source = card["data"]["source"]
    yield f"{counted(card['n_train_rows'], 'row')} of {source} (hash {card['data_hash'][:12]})."
    yield ""
    yield from _table(
        ("column", "kind"), [(c["name"], c["kind"]) for c in card["schema"]["columns"]]
    )
    yield "## How to load it"
    yield ""
    yield f"```python\n{program(card, path)}\n```"
    yield ""
    yield "## Environment"
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in card["versions"].items())


def _task(card: Mapping[str, Any]) -> str:
    if card["task"] == "regression":
        return "A regression"
    labels = ", ".join(f"'{label}'" for label in card["classes"][:10])
    more = f" and {len(card['classes']) - 10} more" if len(card["classes"]) > 10 else ""
    return f"A classifier of {len(card['classes'])} classes ({labels}{more})"


def _measures(told: Mapping[str, Any]) -> Iterator[str]:
    if classes := told.get("classes"):
        yield from _table(
            ("class", "rows", "precision", "recall", "F1"),
            [
                (
                    one["label"],
                    f"{one['n_rows']:,}",
                    _share(one["precision"], one["precision_interval"]),
                    _share(one["recall"], one["recall_interval"]),
                    "–" if one["f1"] is None else f"{one['f1']:.3f}",
                )
                for one in classes
            ],
        )
    if confusion := told.get("confusion"):
        labels = [one["label"] for one in told["classes"]]
        yield "Rows by their class, and columns by what it answers:"
        yield ""
        rows = [(label, *map(str, row)) for label, row in zip(labels, confusion, strict=True)]
        yield from _table(("", *labels), rows)
    if calibration := told.get("calibration"):
        yield (
            f"Its probabilities are {calibration['error']:.3f} away from the shares that come true "
            f"(expected calibration error); log loss {calibration['log_loss']:.3f}."
        )
        yield ""
    yield from _quantiles(told)
    by_target = told.get("targets", {"": told} if "residuals" in told else {})
    for target, of_target in by_target.items():
        yield f"What it answers, less the truth{f' of {target}' if target else ''}:"
        yield ""
        residuals = of_target["residuals"]
        names = {"0": "least", "0.5": "median", "1": "largest"}
        heads = [names.get(q, f"{100 * float(q):g} %") for q in residuals]
        yield from _table(tuple(heads), [tuple(f"{value:.4g}" for value in residuals.values())])
        yield ""


def _quantiles(told: Mapping[str, Any]) -> Iterator[str]:
    """How many rows of the test part lie below each quantile, and between the outer two."""
    if not (each := told.get("quantiles")):
        return
    yield "Rows of the test part that lie at or below each quantile:"
    yield ""
    rows = []
    for one in each:
        low, high = one["interval"]
        found = f"{one['below']:.3f} (95 % interval {low:.3f} to {high:.3f})"
        rows.append((f"{one['quantile']:g}", found))
    yield from _table(("quantile", "share of the rows"), rows)
    yield ""
    if covered := told.get("coverage"):
        yield f"{coverage(covered)}; on average they are {covered['width']:.4g} apart."
        yield ""


def coverage(told: Mapping[str, Any]) -> str:
    """How many rows lie between the outer quantiles, in words."""
    low, high = told["interval"]
    return (
        f"{100 * told['found']:.1f} % of the test rows lie between the outer quantiles "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %); "
        f"asked was {100 * told['wanted']:.4g} %"
    )


def _baselines(card: Mapping[str, Any]) -> Iterator[str]:
    if plain := card.get("baselines"):
        yield f"Plain models on the same folds, by {card['metric']}:"
        yield ""
        rows = [(one["name"], score(one["value"], one["stderr"])) for one in plain]
        yield from _table(("model", "over the folds"), rows)


def _inputs(card: Mapping[str, Any]) -> Iterator[str]:
    if inputs := card.get("importance"):
        yield "## What it goes by"
        yield ""
        yield f"How much worse {card['metric']} is where a column is shuffled:"
        yield ""
        rows = [
            (one["column"], f"{one['loss']:.4f} ± {one['std']:.4f}") for one in inputs[:MOST_INPUTS]
        ]
        yield from _table(("column", "loss"), rows)
        if len(inputs) > MOST_INPUTS:
            yield f"{len(inputs) - MOST_INPUTS} more are in the JSON file."
            yield ""


def _share(value: float | None, interval: list[float] | None) -> str:
    if value is None or interval is None:
        return "–"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    if not rows:
        return
    for cells in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    yield ""
