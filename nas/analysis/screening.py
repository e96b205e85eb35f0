"""Which cheap scores tell good networks from bad ones on some data: what `nas screen` concludes.

Everything follows from a sample of networks of which both are known, the cheap scores and the true
one: the cross-validated score after a full training.

The file is long because what is concluded and the sentences that say it follow the same few cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from nas.direction import Direction
from nas.seeds import derive_seed
from nas.spec import TrialSpec

MIN_SAMPLE = 8  # networks; fewer have no rank correlation to speak of
FEW = 20  # networks, with which only strong correlations are told from chance
N_RESAMPLES = 4000
ALIKE = 0.9  # rank correlation from which on two scores are nearly one
MOST_NETWORKS = 10_000  # beyond that, no tail of a space is normal
CERTAIN = 0.95  # share of the resamples that must agree, and of intervals that hold

Array = NDArray[np.float64]

TITLES = {
    "signal": "signal propagation",
    "gradient": "gradient propagation",
    "synflow": "synflow",
    "jacobian": "Jacobian covariance",
    "weights": "number of weights",
    "one_epoch": "one epoch",
}
BEST_AT_ZERO = ("signal", "gradient")  # logarithms of ratios, of which 1 is best


@dataclass(frozen=True, slots=True)
class Untrained:
    """A network before its training.

    Attributes:
        spec: The network.
        values: Its training-free scores.
        seconds: Processor seconds that each took.
        program: Networks with the same share a compiled program.
    """

    spec: TrialSpec
    values: Mapping[str, float]
    seconds: Mapping[str, float]
    program: str


@dataclass(frozen=True, slots=True)
class Trained:
    """A network of the sample after its training.

    Attributes:
        index: Its position among the untrained ones.
        value: Mean over folds of the last epoch's score; NaN where it diverged.
        first_epoch: Score of the first fold after one epoch; NaN where it diverged.
        epochs: Epochs that it trained.
        epoch_seconds: Processor seconds of an epoch of all folds.
        compile_seconds: Processor seconds by which its first epoch took longer.
    """

    index: int
    value: float
    first_epoch: float
    epochs: int
    epoch_seconds: float
    compile_seconds: float


@dataclass(frozen=True, slots=True)
class Score:
    """What a cheap score is worth.

    Attributes:
        name: `one_epoch`, or the name of a training-free score.
        correlation: Spearman's rank correlation with the true score, positive where the score is
            right about what is better; None where all networks of the sample score alike.
        interval: Its percentile interval over resampled networks. The intervals of all scores hold
            together with 95 % (Bonferroni): else, in one of four screenings, chance would pass for
            worth.
        with_weights: Its rank correlation with the number of weights, over all drawn networks.
        seconds: Processor seconds for a network.
        affordable: Networks that it scores in the time in which one epoch scores all drawn ones,
            at most `MOST_NETWORKS`.
        pick: Share of the space's networks that are worse than the one that it picks among
            `affordable`; see `judge`.
        top_quarter: Median true score of the quarter of the sample that it likes best.
    """

    name: str
    correlation: float | None
    interval: tuple[float, float] | None
    with_weights: float | None
    seconds: float
    affordable: int
    pick: float
    top_quarter: float

    @property
    def title(self) -> str:
        """Its name in words."""
        return TITLES[self.name]

    @property
    def is_worth_something(self) -> bool:
        """Whether the interval of its correlation leaves out 0."""
        return self.interval is not None and (self.interval[0] > 0.0 or self.interval[1] < 0.0)


@dataclass(frozen=True, slots=True)
class Screening:
    """What cheap scores are worth on some data.

    Attributes:
        metric: What the true score is.
        n_networks: Networks drawn and scored before training.
        n_trained: Networks of the sample.
        n_diverged: Those of them that diverged; the worst of all.
        median: Median true score of the sample.
        best: Best true score of the sample.
        full_seconds: Processor seconds of a full training, without compilation.
        compile_seconds: Processor seconds to compile the program of one shape of network.
        n_programs: Shapes among the drawn networks.
        scores: The cheap scores.
        epoch_first: Share of the resamples in which one epoch is ahead of all training-free scores
            per processor second.
        weights_equal: Share of the resamples in which the number of weights correlates at least as
            well as every other training-free score.
    """

    metric: str
    n_networks: int
    n_trained: int
    n_diverged: int
    median: float
    best: float
    full_seconds: float
    compile_seconds: float
    n_programs: int
    scores: tuple[Score, ...]
    epoch_first: float
    weights_equal: float

    def score(self, name: str) -> Score:
        """The score of that name."""
        return next(score for score in self.scores if score.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; None for what is not finite."""
        data = asdict(self)
        data["scores"] = [
            {**entry, "is_worth_something": score.is_worth_something}
            for entry, score in zip(data["scores"], self.scores, strict=True)
        ]
        data["verdict"] = list(verdict(self))
        return dict(_finite(data))


def judge(
    networks: Sequence[Untrained],
    sample: Sequence[Trained],
    n_folds: int,
    metric: str,
    direction: Direction,
    seed: int = 0,
) -> Screening:
    """Compares cheap scores with the true one.

    Scores are compared per processor second by what they achieve in the same time, that in which
    one epoch scores all drawn networks, compilation included: a score with the rank correlation `r`
    that can look at `m` networks picks one whose true standing is `r i(m)` deviations above the
    mean, where `i(m)` is that of the best of `m` normal deviates (the breeder's equation; Falconer
    & Mackay 1996, chapter 11; `i` after Blom 1958). `pick` is the share of networks below that.

    Args:
        networks: Everything that was drawn.
        sample: Those that were trained, at least two.
        n_folds: Folds that they were trained on.
        metric: Name of the true score.
        direction: Whether more or less of it is better.
        seed: Of the resampling.
    """
    truth = _quality([network.value for network in sample], direction)
    first = _quality([network.first_epoch for network in sample], direction)
    trained = [networks[network.index] for network in sample]
    names = list(networks[0].values)
    cheap = {name: _goodness(name, trained) for name in names} | {"one_epoch": first}
    everywhere = {name: _goodness(name, networks) for name in names}

    programs = {network.program for network in trained}
    compilation = sum(network.compile_seconds for network in sample) / len(programs)
    n_programs = len({network.program for network in networks})
    epoch = float(np.mean([network.epoch_seconds for network in sample])) / n_folds
    seconds = {
        name: float(np.mean([network.seconds[name] for network in networks])) for name in names
    }
    seconds["one_epoch"] = epoch + compilation * n_programs / len(networks)
    time = len(networks) * seconds["one_epoch"]

    generator = np.random.default_rng(derive_seed("screening resamples", seed))
    rows = generator.integers(0, len(sample), (N_RESAMPLES, len(sample)))
    correlations = {name: _correlations(values, truth) for name, values in cheap.items()}
    resampled = {name: _correlations(values[rows], truth[rows]) for name, values in cheap.items()}
    scores, gains = [], {}
    for name, values in cheap.items():
        correlation = float(correlations[name][0])
        known = resampled[name][np.isfinite(resampled[name])]
        interval = None
        if np.isfinite(correlation) and len(known):
            tail = 100.0 * (1.0 - CERTAIN) / 2.0 / len(cheap)
            low, high = np.percentile(known, [tail, 100.0 - tail])
            interval = (float(low), float(high))
        affordable = round(min(MOST_NETWORKS, max(1.0, time / max(seconds[name], 1e-9))))
        # A training-free score may be wrong about what is better; the sample then corrects it. That
        # is to its advantage where it is chance.
        sign = -1.0 if correlation < 0.0 and name != "one_epoch" else 1.0
        intensity = _best_of(affordable)
        gains[name] = sign * intensity * np.nan_to_num(resampled[name])
        order = np.argsort(-sign * _ranks(values), kind="stable")
        quarter = order[: max(1, round(len(sample) / 4))]
        scores.append(
            Score(
                name=name,
                correlation=correlation if np.isfinite(correlation) else None,
                interval=interval,
                with_weights=(
                    _one(_correlations(everywhere[name], everywhere["weights"]))
                    if name in everywhere and name != "weights"
                    else None
                ),
                seconds=seconds[name],
                affordable=affordable,
                pick=float(ndtr(sign * intensity * np.nan_to_num(correlation))),
                top_quarter=_median_value([sample[k].value for k in quarter], direction),
            )
        )
    free = np.array([gains[name] for name in names])
    others = np.array([np.abs(np.nan_to_num(resampled[n])) for n in names if n != "weights"])
    counting = np.abs(np.nan_to_num(resampled["weights"]))
    finite = [network.value for network in sample if np.isfinite(network.value)]
    return Screening(
        metric=metric,
        n_networks=len(networks),
        n_trained=len(sample),
        n_diverged=len(sample) - len(finite),
        median=_median_value([network.value for network in sample], direction),
        best=max(finite, default=float("nan"), key=Direction(direction).key),
        full_seconds=float(np.mean([network.epochs * network.epoch_seconds for network in sample])),
        compile_seconds=compilation,
        n_programs=n_programs,
        scores=tuple(scores),
        epoch_first=float(np.mean(gains["one_epoch"] > free.max(axis=0))),
        weights_equal=float(np.mean(counting >= others.max(axis=0))),
    )


def verdict(screening: Screening) -> tuple[str, ...]:
    """What follows, in sentences."""
    n = screening.n_trained
    free = [score for score in screening.scores if score.name != "one_epoch"]
    worth = [score for score in screening.scores if score.is_worth_something]
    chance = [score.title for score in screening.scores if not score.is_worth_something]
    lines = []
    if worth:
        ranked = sorted(worth, key=lambda score: -abs(score.correlation or 0.0))
        lines.append(f"Worth something on this data: {', '.join(map(_with_sign, ranked))}.")
        if chance:
            lines.append(f"Not distinguishable from chance with {n} networks: {', '.join(chance)}.")
    else:
        lines.append(f"No score is told from chance by {n} networks.")
    lines.append(_per_second(screening))
    counting = screening.score("weights")
    strongest = max(free, key=lambda score: abs(score.correlation or 0.0))
    if any(score.is_worth_something for score in free):
        if strongest.name == "weights":
            lines.append("No training-free score does better than counting weights.")
        elif screening.weights_equal > 1.0 - CERTAIN:
            lines.append(
                f"Counting weights does as well as any training-free score, as far as {n} networks "
                "tell."
            )
        else:
            lines.append(
                f"{_capital(strongest.title)} does better than counting weights "
                f"({signed(strongest.correlation)}, not {signed(counting.correlation)})."
            )
    alike = [score for score in free if abs(score.with_weights or 0.0) >= ALIKE]
    if alike:
        names = ", ".join(f"{score.title} ({signed(score.with_weights)})" for score in alike)
        lines.append(f"Nearly the number of weights by another name: {names}.")
    return tuple(lines)


def _per_second(screening: Screening) -> str:
    """Who is ahead per processor second, and how sure that is."""
    n = screening.n_trained
    epoch = screening.score("one_epoch")
    free = [score for score in screening.scores if score.name != "one_epoch"]
    best = max(free, key=lambda score: score.pick)
    useful = epoch.is_worth_something and (epoch.correlation or 0.0) > 0.0
    worth = [score for score in free if score.is_worth_something]
    share = screening.epoch_first
    if useful and epoch.pick > best.pick:
        compared = (
            f"in the CPU time of one epoch for all {screening.n_networks} networks "
            f"({screening.n_networks * epoch.seconds:.0f} s) it picks a network better than "
            f"{epoch.pick:.1%} of all; {best.title}, the best training-free score, one better than "
            f"{best.pick:.1%}."
        )
        if share >= CERTAIN:
            return f"One epoch beats every training-free score per CPU second: {compared}"
        return (
            "One epoch is ahead of every training-free score per CPU second, but that is not "
            f"certain ({share:.0%} of resamples): {compared}"
        )
    if worth:
        best = max(worth, key=lambda score: score.pick)
        compared = (
            f"in the CPU time of one epoch for all {screening.n_networks} networks "
            f"({screening.n_networks * epoch.seconds:.0f} s) it picks a network better than "
            f"{best.pick:.1%} of all, one epoch one better than {epoch.pick:.1%}."
        )
        if share <= 1.0 - CERTAIN:
            return f"{_capital(best.title)} beats one epoch per CPU second: {compared}"
        return (
            f"{_capital(best.title)} is ahead of one epoch per CPU second, but that is not certain "
            f"({1.0 - share:.0%} of resamples): {compared}"
        )
    if useful:
        return (
            f"One epoch is the only score worth its CPU seconds, as far as {n} networks tell; "
            f"{best.title} would be ahead per CPU second if its {signed(best.correlation)} is no "
            "chance."
        )
    return (
        "Neither one epoch nor a training-free score is worth its CPU seconds, as far as "
        f"{n} networks tell."
    )


def _with_sign(score: Score) -> str:
    number = signed(score.correlation)
    if (score.correlation or 0.0) >= 0.0:
        return f"{score.title} ({number})"
    if score.name == "weights":
        return f"{score.title} ({number}: fewer is better)"
    return f"{score.title} ({number}: the wrong way round)"


def signed(correlation: float | None) -> str:
    """A correlation with its sign; a dash for none."""
    return "–" if correlation is None else f"{correlation:+.2f}".replace("-", "−")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _goodness(name: str, networks: Sequence[Untrained]) -> Array:
    """A training-free score of networks, more is better; the worst where it is not a number."""
    values = np.array([network.values[name] for network in networks], dtype=np.float64)
    if name in BEST_AT_ZERO:
        values = -np.abs(values)
    return np.where(np.isnan(values), -np.inf, values)


def _quality(values: Sequence[float], direction: str) -> Array:
    """True scores, or those of one epoch, more is better; the worst where it diverged."""
    quality = np.array(values, dtype=np.float64) * Direction(direction).sign
    return np.where(np.isfinite(quality), quality, -np.inf)


def _median_value(values: Sequence[float], direction: str) -> float:
    """The median, where diverged networks are the worst; NaN if it is one of them."""
    ordered = np.sort(_quality(values, direction))
    middle = float(ordered[(len(ordered) - 1) // 2] / 2 + ordered[len(ordered) // 2] / 2)
    if not np.isfinite(middle):
        return float("nan")
    return middle * Direction(direction).sign


def _ranks(values: Array) -> Array:
    return np.asarray(rankdata(values, axis=-1), dtype=np.float64)


def _correlations(a: Array, b: Array) -> Array:
    """Spearman's rank correlation of each row; NaN where a row does not vary."""
    a, b = np.atleast_2d(_ranks(a)), np.atleast_2d(_ranks(b))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(axis=1) / size)


def _one(values: Array) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None


def _best_of(n: int) -> float:
    """Expected largest of `n` normal deviates (Blom 1958)."""
    return float(ndtri((n - 0.375) / (n + 0.25)))


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not np.isfinite(data):
        return None
    return data
