"""Scoring networks before training: `nas.screen`."""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from nas.api import import_optuna
from nas.arguments import check_bounds, seconds_of
from nas.choices import ClassWeight, Scaling, TargetScaling, Task
from nas.display import Display
from nas.errors import NasError
from nas.execution.processes import default_workers, prepare_processes
from nas.one_search import describe_folds
from nas.stopping import forget

if TYPE_CHECKING:
    from nas.analysis.screening import Screening
    from nas.experiments.screen_sample import Sampling
    from nas.preparation import Prepared

ENDING = 3.0  # seconds that judging and ending take


@dataclass(frozen=True)
class Screened:
    """How much cheap scores of networks are worth on some data.

    Attributes:
        screening: How well each score ranks the networks.
        sampling: The networks that were scored and trained.
        prepared: The data and folds on which they were trained.
    """

    screening: "Screening"
    sampling: "Sampling"
    prepared: "Prepared"


def screen(
    space: Any = "mlp_depth",
    data: Any = None,
    target: Any = None,
    *,
    n: int = 500,
    sample: int | None = None,
    timeout: float | str = 55,
    folds: Any = 5,
    groups: Any = None,
    sample_weight: Any = None,
    class_weight: ClassWeight = "none",
    time: str | None = None,
    test: Any = None,
    test_size: float = 0.2,
    metric: Any = None,
    positive: str | None = None,
    task: Task | None = None,
    drop: Any = (),
    categorical: Any = (),
    numeric: Any = (),
    date: Any = (),
    text: Any = (),
    header: bool | None = None,
    missing: Any = (),
    scaling: Scaling = "standard",
    target_scaling: TargetScaling = "standard",
    quantiles: Any = (),
    image_size: int | None = None,
    classes: Any = (),
    merge_rare: int | None = None,
    max_rows: int | None = None,
    label_noise: float = 0.0,
    workers: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Screened:
    """Measures which cheap scores of networks are worth anything on some data.

    Scores networks before training and after one epoch, trains a sample of them on all folds, and
    measures how well each cheap score ranks the sample. Writes no files.

    Args:
        space: As for `nas.search`, like all arguments that are not described here.
        n: Number of networks to score before training.
        sample: Number of networks to train; None trains as many as `timeout` allows.
        timeout: Time within which to finish; at least 8 networks are trained in any case.

    Returns:
        The scores and the networks behind them.

    Raises:
        NasError: When an argument or the data cannot be used, or too few networks could be trained.
    """
    check_bounds(
        n=(n, 8, None),
        sample=(sample, 8, None),
        test_size=(test_size, 0.0, 0.9),
        workers=(workers, 1, None),
        seed=(seed, 0, None),
    )
    forget()
    deadline = monotonic() + (seconds_of(timeout) or 0.0) - ENDING
    display = Display(quiet)
    n_workers = default_workers() if workers is None else workers
    with display.working("Reading the data"):
        if n_workers > 1:  # they import what they need while this process reads the data
            prepare_processes("tensorflow")
            prepare_processes()

        import_optuna()
        from nas.analysis.screening import judge
        from nas.architectures import CUSTOM
        from nas.data import SplitOptions
        from nas.experiments.screen_sample import SampleOptions, draw_networks, run_sampling
        from nas.preparation import as_space, opened_pool, prepare, problem_of, read_options

        the_space = as_space(space)
        if the_space.network == CUSTOM:
            raise NasError("space", "got a function", "words of the space language")
        options = read_options(
            the_space,
            data,
            target,
            task=task,
            groups=groups,
            sample_weight=sample_weight,
            class_weight=class_weight,
            time=time,
            test=test,
            drop=drop,
            categorical=categorical,
            numeric=numeric,
            date=date,
            text=text,
            header=header,
            missing=missing,
            positive=positive,
            scaling=scaling,
            target_scaling=target_scaling,
            quantiles=quantiles,
            image_size=image_size,
            classes=classes,
            merge_rare=merge_rare,
            max_rows=max_rows,
            label_noise=label_noise,
        )
        prepared = prepare(
            the_space,
            data,
            target,
            options,
            folds,
            SplitOptions(test_size=test_size, seed=seed),
            metric=metric,
            positive=positive,
            groups=groups,
            sample_weight=sample_weight,
            test=test,
            scores_test=False,
        )
        # Whether the space holds enough networks does not depend on the number of inputs.
        draw_networks(the_space, prepared.dataset.problem(1), n, seed)
        findings = prepared.findings
    display.data(prepared.dataset)
    display.findings(findings)
    parts = describe_folds(prepared.split_options.folds, 1)
    display.say(f"{parts} on {len(prepared.split.development):,} rows", "Split")
    with display.working("Getting ready to train"):
        pool, encoded = opened_pool(prepared, n_workers, "auto")
    with pool:
        problem = problem_of(prepared, encoded)
        specs = draw_networks(the_space, problem, n, seed)
        sample_options = SampleOptions(sample, deadline, seed, n_workers)
        steps = run_sampling(pool, specs, encoded, sample_options)
        sampling = display.follow_sampling(steps, len(specs), sample, deadline)
    screening = judge(
        sampling.networks,
        sampling.trained,
        len(prepared.split.folds),
        prepared.metric.name,
        prepared.metric.direction,
        seed,
    )
    return Screened(screening, sampling, prepared)
