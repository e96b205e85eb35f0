"""What a search shows of itself while it runs."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.cli.output import console, score
from nas.errors import visible
from nas.stopping import on_stop, stop, was_stopped

if TYPE_CHECKING:
    from nas.search import Progress
    from nas.study import TrialRecord


@dataclass
class _Stop:
    requested: bool = False

    def __call__(self) -> None:
        """The first signal is a request; a second one ends the program at once."""
        if self.requested:
            stop()
        self.requested = True


def follow(steps: "Iterator[Progress]") -> bool:
    """Shows a search until it ends; returns whether the user ended it."""
    if was_stopped():  # while something was imported that took no notice
        stop()
    show = _follow_live if console.is_terminal else _follow_plain
    request = _Stop()
    with on_stop(request):
        try:
            show(steps, request)
        finally:  # also where the terminal is gone
            _close(steps)
    return request.requested


def _follow_plain(steps: "Iterator[Progress]", request: _Stop) -> None:
    for progress in steps:
        if progress.finished is not None:
            done = f"[{progress.done:>{len(str(progress.n_trials))}}/{progress.n_trials}]"
            best = ""
            if progress.best is not None:
                best = f"  best {score(progress.best.value, progress.best.stderr)}"
            print(f"{done} {visible(_describe_trial(progress.finished))}{best}", flush=True)
        if progress.note:
            print(visible(progress.note), flush=True)
        if request.requested:
            return


def _follow_live(steps: "Iterator[Progress]", request: _Stop) -> None:
    started = time.monotonic()
    done_before: int | None = None
    note = ""
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        for progress in steps:
            if done_before is None:
                done_before = progress.done
            note = progress.note or note
            elapsed = time.monotonic() - started
            live.update(_status(progress, progress.done - done_before, elapsed, request.requested))
            if request.requested:
                break
    if note:
        console.print(note)


def _close(steps: "Iterator[Progress]") -> None:
    close: Any = getattr(steps, "close", None)
    if close is not None:
        close()


def _status(progress: "Progress", done_now: int, elapsed: float, stopping: bool) -> Group:
    rate = 60.0 * done_now / elapsed if done_now else None
    timing = "estimating"
    if rate:
        left = 60.0 * (progress.n_trials - progress.done) / rate
        timing = f"{rate:.1f} a minute, {_clock(left)} left"
    top = Table.grid(padding=(0, 2))
    top.add_row(
        Text(f"{progress.done}/{progress.n_trials} trials", style="bold"),
        ProgressBar(total=progress.n_trials, completed=progress.done, width=24),
        timing,
    )
    counts = f"{progress.complete} complete, {progress.pruned} pruned, {progress.failed} failed"
    if progress.rejected:
        counts += f", {progress.rejected} not trained"
    best = "none yet"
    if progress.best is not None:
        best = f"{score(progress.best.value, progress.best.stderr)} (trial {progress.best.number})"
    lines: list[Any] = [top, Text(f"{counts};  best {best}")]
    if progress.running is not None:
        now = f"trial {progress.number}: {progress.running.describe()}"
        if progress.in_training > 1:
            now = f"{progress.in_training} under way; {now}"
        if progress.score is not None:
            training = progress.running.training
            # How many epochs a budget of steps has, depends on the rows.
            of_all = "" if training.steps else f"/{training.epochs}"
            now += f"; epoch {progress.epoch}{of_all}: {score(progress.score)}"
        lines.append(Text(now, style="dim", overflow="ellipsis", no_wrap=True))
    if stopping:
        lines.append(Text("Stopping (Ctrl-C again ends at once)", style="bold"))
    return Group(*lines)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _describe_trial(trial: "TrialRecord") -> str:
    value = trial.value
    if value is None and trial.epoch_values:
        value = trial.epoch_values[max(trial.epoch_values)]
    text = f"trial {trial.number} {trial.outcome}"
    if value is not None:
        text += f" {score(value, trial.stderr)}"
    if trial.spec is not None:
        text += f"  {trial.spec.describe()}"
    return text + (f"  ({trial.reason})" if trial.reason else "")
