"""What `quality.py` has measured: kept in a file, compared and shown."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from quality_peers import ENTRANTS, MODELS, SEARCHES
from quality_sets import Array, BesideFirst, Incumbent, is_error
from rich.console import Console
from rich.table import Table

OURS = ("nas", "nas, ensemble")
OTHER_KINDS = ("gradient boosting", "forest", "svm")

# By set, entrant and seed
Scores = Mapping[str, Mapping[str, Mapping[int, float]]]


@dataclass(frozen=True)
class Run:
    """One entrant on one set.

    Attributes:
        score: Of the test rows; None where it failed.
        wall: Seconds that it took in all, with starting Python and the last fit.
        failure: Its last line of error.
        trials: How many settings it has tried to the end.
        chosen: The best one, in words.
        machine: Where it ran.
        fold_epochs, incumbents, beside_first: See `quality_sets.Answer`.
    """

    entrant: str
    set: str
    seconds: float
    seed: int
    score: float | None
    wall: float
    trials: int = 0
    chosen: str = ""
    failure: str = ""
    machine: str = ""
    fold_epochs: int = 0
    incumbents: tuple[Incumbent, ...] = ()
    beside_first: BesideFirst | None = None

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> "Run":
        beside = known.get("beside_first")
        parts = {
            "incumbents": tuple(Incumbent(**one) for one in known.get("incumbents", ())),
            "beside_first": BesideFirst(**beside) if beside else None,
        }
        return cls(**{**known, **parts})

    @property
    def key(self) -> tuple[str, str, float, int]:
        return self.entrant, self.set, self.seconds, self.seed


def this_machine() -> str:
    known = describe_machine()
    return f"{known['cpu']}, {known['cores']} cores"


def read_runs(path: Path) -> list[Run]:
    """The runs of a file; those that do not say where they ran did so on the file's machine."""
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    machine = f"{content['machine']['cpu']}, {content['machine']['cores']} cores"
    return [Run.from_dict({"machine": machine, **run}) for run in content["runs"]]


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    content = {"machine": describe_machine(), "runs": [asdict(run) for run in runs]}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


# Comparing


def scores_of(runs: Sequence[Run], seconds: float) -> Scores:
    """The scores of one time."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for run in runs:
        if run.seconds == seconds and run.score is not None:
            found.setdefault(run.set, {}).setdefault(run.entrant, {})[run.seed] = run.score
    return found


def standard_error(values: Sequence[float] | Array) -> float:
    """Of their mean; NaN of a single one."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else math.nan


def paired(
    by_entrant: Mapping[str, Mapping[int, float]], entrants: Sequence[str]
) -> list[list[float]]:
    """The scores of each entrant for the seeds that all of them have, which may be none."""
    seeds = [set(by_entrant.get(entrant, {})) for entrant in entrants]
    common = sorted(set.intersection(*seeds)) if seeds else []
    return [[by_entrant[entrant][seed] for seed in common] for entrant in entrants if common]


def mean_ranks(scores: Scores, entrants: Sequence[str]) -> tuple[dict[str, float], int]:
    """Mean ranks over the sets that all of them have finished, and how many these are.

    Means over the seeds that all of them have are ranked; ties share their ranks.
    """
    from scipy.stats import rankdata

    ranks = []
    for name, by_entrant in scores.items():
        values = paired(by_entrant, entrants)
        if values:
            means = np.mean(values, axis=1)
            ranks.append(rankdata(means if is_error(name) else -means))
    means = np.mean(ranks, axis=0) if ranks else np.full(len(entrants), math.nan)
    return dict(zip(entrants, map(float, means), strict=True)), len(ranks)


@dataclass(frozen=True)
class Lead:
    """By how much another entrant is better than ours on a set.

    Attributes:
        mean: Of the differences between runs with the same seed; larger is better for the other.
        error: Standard error of the mean; NaN with one seed.
        seeds: How many there are.
    """

    set: str
    entrant: str
    mean: float
    error: float
    seeds: int

    def __str__(self) -> str:
        error = f" ± {self.error:.4f}" if self.seeds > 1 else ""
        return f"{self.set}: {self.entrant} by {self.mean:.4f}{error}"


def leads(scores: Scores, ours: str, others: Sequence[str]) -> list[Lead]:
    """How others do beside one of ours, on all sets that both have finished."""
    found = []
    for name, by_entrant in scores.items():
        for other in others:
            values = paired(by_entrant, [other, ours])
            if values:
                theirs, own = values
                difference = np.subtract(theirs, own) * (-1 if is_error(name) else 1)
                error = standard_error(difference)
                found.append(Lead(name, other, float(difference.mean()), error, len(difference)))
    return found


def time_to_score(ours: Run, theirs: float) -> float:
    """Seconds until what nas had by then was as good on the test rows; infinite if it never was."""
    sign = 1 if is_error(ours.set) else -1
    return min(
        (
            one.seconds
            for one in ours.incumbents
            if one.score is not None and sign * one.score <= sign * theirs
        ),
        default=math.inf,
    )


def speedups(runs: Sequence[Run], seconds: float, peer: str) -> dict[str, list[float]]:
    """How much sooner nas has a peer's last test score, by set; 0 where it never has."""
    ours = {(run.set, run.seed): run for run in runs if run.entrant == "nas" and run.incumbents}
    found: dict[str, list[float]] = {}
    for run in runs:
        own = ours.get((run.set, run.seed))
        if run.entrant == peer and run.score is not None and own is not None:
            found.setdefault(run.set, []).append(seconds / time_to_score(own, run.score))
    return found


# Showing


def show(runs: Sequence[Run], seconds: float, console: Console) -> None:
    """What one time has brought."""
    scores = scores_of(runs, seconds)
    if not scores:
        return
    entrants = [e for e in ENTRANTS if any(e in by_entrant for by_entrant in scores.values())]
    console.print(_table(scores, entrants, seconds))
    _show_ranks(scores, entrants, console)
    for ours in OURS:
        if ours in entrants:
            _show_leads(scores, ours, [e for e in SEARCHES if e in entrants], console)
    these = [run for run in runs if run.seconds == seconds]
    _show_speedups(these, seconds, console)
    _show_fold_epochs(these, console)
    _show_beside_first(these, console)
    _show_machines(these, console)
    for run in runs:
        if run.failure and run.seconds == seconds:
            console.print(f"{run.entrant} on {run.set}, seed {run.seed}: {run.failure}")


def _table(scores: Scores, entrants: Sequence[str], seconds: float) -> Table:
    """Accuracy, or RMSE where less is better; the best of a set is bold."""
    table = Table(title=f"{seconds:g} seconds each, test rows that nothing has seen")
    table.add_column("", no_wrap=True)
    means: dict[str, dict[str, float]] = {}
    for name, by_entrant in scores.items():
        table.add_column(f"{name}{' ↓' if is_error(name) else ''}", justify="right", no_wrap=True)
        means[name] = {e: float(np.mean([*found.values()])) for e, found in by_entrant.items()}
    for entrant in entrants:
        cells = []
        for name, of_set in means.items():
            if entrant not in of_set:
                cells.append("–")
                continue
            best = (min if is_error(name) else max)(of_set[e] for e in entrants if e in of_set)
            text = _cell([*scores[name][entrant].values()])
            cells.append(f"[bold]{text}[/bold]" if of_set[entrant] == best else text)
        table.add_row(entrant, *cells)
    return table


def _cell(values: Sequence[float]) -> str:
    """Mean, standard error and number of seeds."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {standard_error(values):.4f} ({len(values)})"


def _show_ranks(scores: Scores, entrants: Sequence[str], console: Console) -> None:
    for title, group in (("network searches", SEARCHES), ("all", {**SEARCHES, **MODELS})):
        ranks, n_sets = mean_ranks(scores, [entrant for entrant in group if entrant in entrants])
        told = "; ".join(f"{e} {rank:.2f}" for e, rank in sorted(ranks.items(), key=lambda r: r[1]))
        console.print(f"Mean rank among {title}, on {n_sets} sets that all have finished: {told}")
    beside = []
    for entrant in SEARCHES:
        if entrant in entrants:
            ranks, n_sets = mean_ranks(scores, [entrant, *OTHER_KINDS])
            if n_sets:
                beside.append(f"{entrant} {ranks[entrant]:.2f} ({n_sets} sets)")
    kinds = ", ".join(OTHER_KINDS)
    if beside:
        console.print(f"Mean rank of each search by itself beside {kinds}: {'; '.join(beside)}")


def _show_leads(scores: Scores, ours: str, searches: Sequence[str], console: Console) -> None:
    """Where another search is better than one of ours, beyond the noise and without knowing it."""
    found = leads(scores, ours, [entrant for entrant in searches if entrant not in OURS])
    known = [lead for lead in found if lead.seeds > 1]
    beyond = [str(lead) for lead in known if lead.mean > 2 * lead.error]
    if known:
        n_sets = len({lead.set for lead in known})
        console.print(
            f"Better than {ours} by more than two standard errors of the differences between runs "
            f"with the same seed, on {n_sets} sets: {'; '.join(beyond) or 'none'}"
        )
    single = [str(lead) for lead in found if lead.seeds == 1 and lead.mean > 0]
    if len(found) > len(known):
        console.print(
            f"Better than {ours} with one seed, whose noise is not known: "
            f"{'; '.join(single) or 'none'}"
        )


def _show_speedups(runs: Sequence[Run], seconds: float, console: Console) -> None:
    """How much sooner what nas has by then, trained on all rows, is as good on the test rows."""
    for peer in SEARCHES:
        found = {name: float(np.median(v)) for name, v in speedups(runs, seconds, peer).items()}
        if found and peer not in OURS:
            told = ", ".join(f"{name} {times:.1f}" for name, times in found.items())
            console.print(
                f"Sooner than {peer} at its last test score, times: median of {len(found)} sets "
                f"{np.median([*found.values()]):.1f} ({told}; 0 is never)"
            )


def _show_fold_epochs(runs: Sequence[Run], console: Console) -> None:
    """How many fold-epochs a full random search takes to its best score over folds, and nas."""
    told, ratios = [], []
    for run in runs:
        if run.entrant != "nas, full random" or not run.chosen:
            continue
        value, sign = json.loads(run.chosen)["value"], 1 if is_error(run.set) else -1
        for own in runs:
            if (own.entrant, own.set, own.seed) == ("nas, five folds", run.set, run.seed):
                reached = [i.fold_epochs for i in own.incumbents if sign * i.value <= sign * value]
                ratios.append(run.fold_epochs / reached[0] if reached else 0.0)
                told.append(f"{run.set} {ratios[-1]:.1f}")
    if ratios:
        console.print(
            f"Fewer fold-epochs than a full random search to its best score, times: median "
            f"{np.median(ratios):.1f} ({', '.join(told)}; 0 is never)"
        )


def _show_beside_first(runs: Sequence[Run], console: Console) -> None:
    """How often the search was worse than no search: its winner beside the first setting."""
    known = [(run, run.beside_first) for run in runs if run.beside_first is not None]
    worse = [f"{run.set}, seed {run.seed}" for run, b in known if b.worse > 2 * b.error]
    better = sum(b.worse < -2 * b.error for _, b in known)
    if known:
        console.print(
            f"The winner beside the first setting, of {len(known)} searches, by more than two "
            f"standard errors: worse in {len(worse)} ({'; '.join(worse) or 'none'}), better in "
            f"{better}"
        )


def _show_machines(runs: Sequence[Run], console: Console) -> None:
    """Where runs were made; which ones where these are several machines."""
    sets: dict[str, dict[str, set[str]]] = {}
    for run in runs:
        sets.setdefault(run.machine, {}).setdefault(run.entrant, set()).add(run.set)
    for machine, by_entrant in sets.items():
        which = [f"{entrant} on {', '.join(sorted(of))}" for entrant, of in by_entrant.items()]
        console.print(f"On {machine}{': ' + '; '.join(which) if len(sets) > 1 else ''}")
