"""What people see of a search while it runs: in a terminal, in a notebook, or in a pipe."""

import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as ProgressBars
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nas.errors import visible
from nas.options import ENDLESS
from nas.stopping import on_stop, stop, was_stopped
from nas.wording import score

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.experiments.screen_sample import Sampling
    from nas.searching import Progress
    from nas.study.attributes import Finding
    from nas.study.record import TrialRecord

NOTEBOOK_WIDTH = 100  # characters of a line in a notebook
NOTEBOOK_PAUSE = 0.5  # seconds between two pictures of the progress there


class Terminal(Console):
    """A console on which names and cells are text: neither markup, nor anything to obey."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:  # of the console itself
                yield segment
            else:
                yield segment._replace(text=visible(segment.text, keep="\n"))


class Display:
    """Shows what happens: text on stdout, and what is being worked on on stderr.

    Args:
        quiet: Whether to show nothing at all.

    Attributes:
        console: Where text goes.
        stderr_console: Where goes what is only of interest while it lasts.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self.console = Terminal(quiet=quiet)
        self.stderr_console = Terminal(stderr=True, quiet=quiet)

    def say(self, text: str, label: str = "") -> None:
        """Prints prose: wrapped between words on a terminal, in whole lines elsewhere.

        Args:
            text: What to print.
            label: A bold word in front, in a column of its own; a space for an empty column.
        """
        text = visible(text)
        if self._quiet:
            return
        if self.console.is_jupyter:  # where rich would put each line into a block of its own
            print(f"{label:<8}{text}" if label else text)
        elif not self.console.is_terminal:
            self.console.print(f"{label:<8}{text}" if label else text, soft_wrap=True)
        elif not label:
            self.console.print(text)
        else:
            row = Table.grid(padding=0)
            row.add_column(width=8, style="bold")
            row.add_column()
            row.add_row(label, text)
            self.console.print(row)

    @contextmanager
    def working(self, message: str) -> Iterator[Callable[[str], None]]:
        """Shows a message with a spinner on a terminal, and prints it elsewhere, on stderr.

        What it yields changes the message on a terminal.
        """
        message = visible(message)
        if self._quiet or self.console.is_jupyter:
            yield lambda _message: None
        elif self.stderr_console.is_terminal:
            with self.stderr_console.status(message) as status:
                yield status.update
        else:
            print(message, file=sys.stderr, flush=True)
            yield lambda _message: None

    def data(self, dataset: "Dataset") -> None:
        """What was read: a line for the data, for each column left out, and for each note."""
        self.say(dataset.describe(), "Data")
        for column, reason in (dataset.dropped or {}).items():
            self.say(f"column '{column}' is left out: {reason}", " ")
        for note in dataset.notes:
            self.say(note, " ")

    def findings(self, findings: "Iterable[Finding]") -> None:
        """What makes scores of this data too good or little telling; see docs/data.md."""
        for label, finding in zip(chain(["Note"], repeat(" ")), findings, strict=False):
            self.say(finding.text, label)

    def follow(self, steps: "Iterator[Progress]") -> bool:
        """Shows a search until it ends; returns whether the user ended it.

        The first Ctrl-C ends it after the running epoch, the second at once.
        """
        if was_stopped():  # while something was imported that took no notice
            stop()
        request = _Stop()
        with on_stop(request):
            try:
                if self._quiet:
                    _follow_in_silence(steps, request)
                elif self.console.is_jupyter:
                    _follow_notebook(steps, request)
                elif self.console.is_terminal:
                    _follow_live(self.console, steps, request)
                else:
                    _follow_plain(steps, request)
            finally:  # also where the terminal is gone
                _close(steps)
        return request.requested

    def follow_sampling(
        self, steps: "Iterator[Sampling]", n_networks: int, sample: int | None, deadline: float
    ) -> "Sampling":
        """Shows how far a sampling is, on stderr, until it ends.

        Args:
            steps: From `run_sampling`.
            n_networks: Networks to score.
            sample: Networks to train; None is as many as there is time for.
            deadline: When that ends, by `time.monotonic`.
        """
        console, shown = self.stderr_console, 0
        is_live = console.is_terminal and not self._quiet
        with ProgressBars(
            TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[state]}"),
            console=console, transient=True, disable=not is_live,
        ) as progress:  # fmt: skip
            begun = time.monotonic()
            total = sample or max(deadline - begun, 1.0)
            scoring = progress.add_task("Scoring untrained networks", total=n_networks, state="")
            training = progress.add_task("Training a sample", total=total, state="")
            for state in steps:
                n_scored, n_trained = len(state.networks), len(state.trained)
                done = n_trained if sample else time.monotonic() - begun
                progress.update(scoring, completed=n_scored, state=f"{n_scored} of {n_networks}")
                told = _describe_sampling(n_trained, sample, deadline)
                progress.update(training, completed=done, state=told)
                if not (is_live or self._quiet) and n_scored + n_trained > shown:
                    shown = n_scored + n_trained
                    line = f"{n_scored} scored, {n_trained} trained"
                    print(line, file=sys.stderr, flush=True)
        return state


def _describe_sampling(n_trained: int, sample: int | None, deadline: float) -> str:
    if sample:
        return f"{n_trained} of {sample}"
    left = deadline - time.monotonic()
    if left > 0.0:
        return f"{n_trained} trained, {left:.0f} s left"
    return f"{n_trained} trained, on to 8"


class _Stop:
    requested = False

    def __call__(self) -> None:
        """The first signal is a request; a second one ends the program at once."""
        if self.requested:
            stop()
        self.requested = True


def _follow_in_silence(steps: "Iterator[Progress]", request: _Stop) -> None:
    for _ in steps:
        if request.requested:
            return


def _follow_plain(steps: "Iterator[Progress]", request: _Stop) -> None:
    for progress in steps:
        if progress.finished is not None:
            done = f"[{progress.done:>{len(str(progress.n_trials))}}/{progress.n_trials}]"
            if progress.n_trials >= ENDLESS:
                done = f"[{progress.done:>4}]"
            best = ""
            if progress.best is not None:
                best = f"  best {score(progress.best.value, progress.best.stderr)}"
            print(f"{done} {visible(_describe_trial(progress.finished))}{best}", flush=True)
        if progress.note:
            print(visible(progress.note), flush=True)
        if request.requested:
            return


def _follow_live(console: Console, steps: "Iterator[Progress]", request: _Stop) -> None:
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        note = _follow(steps, request, live.update)
    if note:
        console.print(note)


def _follow_notebook(steps: "Iterator[Progress]", request: _Stop) -> None:
    """Like a terminal, in one output that is changed: rich's own way there needs ipywidgets."""
    from IPython.display import display

    handle: Any = None
    shown_at = 0.0

    def show(status: Group, now: bool = False) -> None:
        nonlocal handle, shown_at
        if not now and time.monotonic() - shown_at < NOTEBOOK_PAUSE:
            return
        shown_at = time.monotonic()
        page = Console(file=io.StringIO(), width=NOTEBOOK_WIDTH, record=True, force_jupyter=False)
        page.print(status)
        data = {"text/plain": page.export_text()}
        if handle is None:
            handle = display(data, raw=True, display_id=True)
        else:
            handle.update(data, raw=True)

    last: list[Group] = []

    def keep(status: Group) -> None:
        last[:] = [status]
        show(status)

    note = _follow(steps, request, keep)
    if last:
        show(last[0], now=True)
    if note:
        print(note)


def _follow(steps: "Iterator[Progress]", request: _Stop, show: Callable[[Group], object]) -> str:
    """Shows each state; returns why the search ended early, if it did."""
    started = time.monotonic()
    done_before: int | None = None
    note = ""
    for progress in steps:
        if done_before is None:
            done_before = progress.done
        note = progress.note or note
        elapsed = time.monotonic() - started
        show(_status(progress, progress.done - done_before, elapsed, request.requested))
        if request.requested:
            break
    return note


def _close(steps: "Iterator[Progress]") -> None:
    close: Any = getattr(steps, "close", None)
    if close is not None:
        close()


def _status(progress: "Progress", done_now: int, elapsed: float, stopping: bool) -> Group:
    rate = 60.0 * done_now / elapsed if done_now else None
    times = []  # left, by trials and by the time
    if rate and progress.n_trials < ENDLESS:
        times.append(60.0 * (progress.n_trials - progress.done) / rate)
    if progress.deadline is not None:
        times.append(max(progress.deadline - time.monotonic(), 0.0))
    timing = "estimating"
    if times:
        speed = f"{rate:.1f} a minute, " if rate else ""
        timing = f"{speed}{_clock(min(times))} left"
    of, share = f"/{progress.n_trials}", progress.done / progress.n_trials
    if progress.n_trials >= ENDLESS:
        of, share = "", elapsed / max(elapsed + min(times, default=0.0), 1e-9)
    top = Table.grid(padding=(0, 2))
    top.add_row(
        Text(f"{progress.done}{of} trials", style="bold"),
        ProgressBar(total=1.0, completed=share, width=24),
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
            now = f"{progress.in_training} in training; {now}"
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
