"""Nested cross-validation: what a whole search is worth, on rows that it never sees."""

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nas.api import import_optuna, search
from nas.arguments import check_bounds
from nas.direction import Direction
from nas.display import Display
from nas.errors import NasError
from nas.wording import score

if TYPE_CHECKING:
    from nas.results import Study

READING = (
    "task", "groups", "sample_weight", "drop", "categorical", "numeric", "date",
    "text", "target_scaling", "quantiles", "header", "missing", "positive",
    "class_weight", "scaling", "image_size", "classes", "merge_rare", "max_rows", "label_noise",
)  # fmt: skip


@dataclass(frozen=True)
class Nested:
    """What searches scored on the rows that each of them did not see.

    Attributes:
        studies: The study of each outer fold.
        values: Test score of each winner.
        value: Their mean.
        stderr: Its standard error, corrected for the rows that the searches share; see
            `nas.uncertainty.standard_error`.
        searched: Mean of what the searches say of their winners: where they were confirmed, the
            score there, and else that over their folds.
        optimism: How much better that is than `value`; positive is too good.
    """

    studies: "tuple[Study, ...]"
    values: tuple[float, ...]
    value: float
    stderr: float | None
    searched: float
    optimism: float

    def __repr__(self) -> str:
        return (
            f"<nas.Nested of {len(self.studies)} searches: {score(self.value, self.stderr)} on "
            f"rows they never saw, {score(self.searched)} over their folds>"
        )


def nested(
    space: Any = None,
    data: Any = None,
    target: Any = None,
    *,
    outer: int = 5,
    folds: int | None = None,
    repeats: int = 1,
    name: str | None = None,
    seed: int = 0,
    quiet: bool = False,
    **options: Any,
) -> Nested:
    """Searches once for each outer fold, and tests each winner on it.

    Nested cross-validation (Varma & Simon 2006, BMC Bioinformatics 7). The rows are divided into
    outer folds; each is the test part of a search on the others. The mean test score is what such
    a search is worth, and how much better the searches think they are is their optimism. The
    network to use comes from `nas.search` on all rows.

    Args:
        space: As for `nas.search`, like all arguments that are not described here.
        data: As for `nas.search`.
        target: As for `nas.search`.
        outer: Number of outer folds, and so of searches.
        folds: Number of folds within each search; None is 5, or fewer where the time is short.
        repeats: How often these are drawn.
        name: Name of the studies, with a number behind it; None is the name of the space.
        seed: Seed of the outer folds, and of each search.
        quiet: Whether to print nothing.
        options: Other arguments of `nas.search`, but for `test_size` and `val_size`.

    Returns:
        The scores and the studies.

    Raises:
        NasError: When an argument or the data cannot be used.
        Interrupted: On Ctrl-C. The same call goes on; with a `timeout`, each search has it again.
    """
    if folds is not None and not isinstance(folds, int):
        raise NasError("--folds", f"got {folds!r} within outer folds", "a number")
    check_bounds(outer=(outer, 2, None), folds=(folds, 1, None), repeats=(repeats, 1, None))
    for given, why in (
        ("test", "outer folds test"),
        ("time", "an outer fold would be foretold from rows after it"),
        ("test_size", "outer folds test"),
        ("val_size", "folds validate"),
        ("warm_start", "the other study may have seen the rows that test"),
    ):
        if given in options and options[given] is not None:
            raise NasError(f"--{given.replace('_', '-')}", f"given for a nested search: {why}")
    options.pop("test", None)
    display = Display(quiet)
    with display.working("Reading the data"):
        import_optuna()
        from nas.data import SplitOptions
        from nas.preparation import as_space, prepare, read_options, usual_space
        from nas.uncertainty import standard_error

        the_space = as_space(usual_space(data) if space is None else space, options.get("training"))
        reading = {key: options[key] for key in READING if key in options}
        prepared = prepare(
            the_space,
            data,
            target,
            read_options(the_space, data, target, **reading),
            outer,
            SplitOptions(outer, 1, test_size=0.0, seed=seed),
            metric=options.get("metric"),
            positive=options.get("positive"),
            groups=options.get("groups"),
            sample_weight=options.get("sample_weight"),
            scores_test=False,
        )
        dataset = prepared.dataset
        if dataset.test_rows is not None:
            raise NasError(
                "--nested",
                f"{dataset.name} has a test part of its own",
                fix="Search without it: that part tests the winner.",
            )
    studies = []
    for number, fold in enumerate(prepared.split.folds, start=1):
        display.say(f"Outer fold {number} of {outer}")
        study = search(
            space, data, target, test=fold.val, folds=folds, repeats=repeats,
            name=f"{name or the_space.name}-{number}", seed=seed, quiet=quiet, **options,
        )  # fmt: skip
        studies.append(study)
    best = [study.best for study in studies]
    values = tuple(b.test_value for b in best if b.test_value is not None)
    said = [b.value if b.confirmed is None else b.confirmed for b in best]
    value, searched = fmean(values), fmean(said)
    sign = Direction(studies[0].record.direction).sign
    stderr = standard_error(values, 1.0 / (outer - 1))
    return Nested(tuple(studies), values, value, stderr, searched, sign * (searched - value))
