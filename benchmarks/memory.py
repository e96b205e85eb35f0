"""How much memory a trial leaves behind."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import peers
from rich.progress import Progress
from work import Work, console, draw_trials

from nas.spec import TrialSpec

if TYPE_CHECKING:
    from nas.engines.lanes import Engine
    from nas.engines.shapes import Shape

EVERY = 50  # trials between two looks at the memory
FROM = 100  # trials until everything that is kept once is there
EPOCHS = 2


def resident_megabytes() -> float:
    """Memory of this process and of all that it started, in MB; of Linux only."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(path.parent.name)] = int(fields[1])
    family = {os.getpid()}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    pages = 0
    for process in family:
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory_growth(
    engine: "Engine",
    specs: Sequence[TrialSpec],
    seeds: Sequence[int],
    tick: peers.Tick,
    start: int = FROM,
    every: int = EVERY,
) -> dict[str, Any]:
    """Trains trials one by one, and how much memory each leaves behind.

    Returns:
        Numbers of trials, the MB after them, and the slope of a straight line through those
        after the first `start` trials; None with less than two.
    """
    from nas.engines.lanes import trial_lanes

    counts, megabytes = [], []
    for count, (spec, seed) in enumerate(zip(specs, seeds, strict=True), start=1):
        lanes = engine.start(trial_lanes(spec, seed, len(engine.folds)))
        while lanes.running().any():
            lanes.advance()
        lanes.results()
        del lanes
        tick()
        if count % every == 0:
            counts.append(count)
            megabytes.append(resident_megabytes())
    n_late = sum(count >= start for count in counts)
    slope = None
    if n_late > 1:
        slope = float(np.polyfit(counts[-n_late:], megabytes[-n_late:], 1)[0])
    return {"trials": counts, "megabytes": megabytes, "megabytes_per_trial": slope}


def run_memory(engine: "type[Engine]", work: Work, n_trials: int) -> dict[str, Any]:
    """`memory_growth` of an engine on further trials of the space, with few epochs."""
    from nas.metrics import METRICS

    drawn, seeds = draw_trials(n_trials, work.specs[0].problem)
    specs = [replace(s, training=replace(s.training, epochs=EPOCHS)) for s in drawn]
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Memory", total=n_trials)
        trained: Any = engine(work.folds, METRICS["accuracy"])
        growth = memory_growth(trained, specs, seeds, lambda: progress.advance(task))
    slope = growth["megabytes_per_trial"]
    if slope is None:
        console.print(f"Memory: {n_trials} trials are too few to tell what one leaves behind.")
    else:
        console.print(
            f"Memory, {engine.name} engine: {slope:.3f} MB a trial after the first {FROM}; "
            f"{growth['megabytes'][-1]:,.0f} MB after {n_trials} trials of {EPOCHS} epochs."
        )
    if engine.name == "compiled":
        growth["shapes"], growth["programs"] = count_programs(set(trained.sizes))
        console.print(f"{growth['programs']} compiled programs for {growth['shapes']} shapes.")
    return growth


def count_programs(shapes: "set[Shape]") -> tuple[int, int]:
    """Shapes that were trained, and the programs that were compiled for them."""
    from nas.engines.program import times_traced

    return len(shapes), sum(times_traced[shape] for shape in shapes)
