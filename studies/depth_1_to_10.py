"""MNIST classification against depth."""

from collections.abc import Sequence

import numpy as np
from page import COLUMNS, lines_figure, real_differences, results_table
from published import Study, Told
from runs import Network, Trained
from scipy import stats

from nas.data import DataOptions
from nas.study.record import StudyRecord

BEST_PUBLISHED = 0.9768
PUBLISHED = {  # from the least to the largest of ten depths
    "train_value": (0.9856, 0.9958),
    "train_loss": (0.0129, 0.0510),
    "test_value": (0.9683, BEST_PUBLISHED),
}
N_TEST_ROWS = 10_000


def networks(quick: bool) -> Sequence[Network]:
    return [
        Network(
            f"{depth} hidden",
            {
                "depth": depth,
                "width": 50,
                "activation": "relu",
                "learning_rate": 0.001,
                "batch_size": 32,
                "epochs": 3 if quick else 50,
                "early_stopping": 1,
            },
        )
        for depth in ((1, 3) if quick else range(1, 11))
    ]


def tell(trained: Sequence[Trained], record: StudyRecord) -> Told:
    depths = [len(network.spec.architecture.units) for network in trained]
    figure = lines_figure(
        {
            "accuracy": {
                "training": (depths, [n.train_value for n in trained]),
                "test": (depths, [n.test_value for n in trained]),
            },
            "loss": {
                "training": (depths, [n.train_loss for n in trained]),
                "test": (depths, [n.test_loss for n in trained]),
            },
        },
        "hidden layers",
        {"accuracy": PUBLISHED["test_value"], "loss": PUBLISHED["train_loss"]},
    )
    text = [results_table(trained), _compare(trained), _real(trained), _above(record)]
    return Told("\n\n".join(text), figure)


def _compare(trained: Sequence[Trained]) -> str:
    lines = []
    for measure, (low, high) in PUBLISHED.items():
        name = COLUMNS[measure]
        means = [float(getattr(n, measure).mean()) for n in trained]
        inside = sum(low <= mean <= high for mean in means)
        lines.append(
            f"- {name}: published {low:.4f} to {high:.4f}, here {min(means):.4f} to "
            f"{max(means):.4f} (means over seeds; {inside} of {len(means)} within)"
        )
    seconds, epochs = ([_mean(n, name) for n in trained] for name in ("seconds", "epochs"))
    lines.append(
        f"- time: published 84 to 171 s without a trend, here {min(seconds):.1f} to "
        f"{max(seconds):.1f} s, {_trend(trained, seconds)}; an epoch takes "
        f"{seconds[0] / epochs[0]:.2f} s with {_depth(trained[0])} hidden layer and "
        f"{seconds[-1] / epochs[-1]:.2f} s with {_depth(trained[-1])}, and early stopping ends "
        f"after {min(epochs):.0f} to {max(epochs):.0f} epochs, {_trend(trained, epochs)}"
    )
    return "Against the published ranges:\n\n" + "\n".join(lines)


def _mean(network: Trained, name: str) -> float:
    return float(np.mean(getattr(network, name)))


def _depth(network: Trained) -> int:
    return len(network.spec.architecture.units)


def _trend(trained: Sequence[Trained], values: Sequence[float]) -> str:
    """Whether values rise or fall with depth: Kendall's rank correlation of the means."""
    result = stats.kendalltau([_depth(n) for n in trained], values)
    if not result.pvalue < 0.05:
        return f"without a trend over depth (Kendall's test, p = {result.pvalue:.2f})"
    direction = "rising" if result.statistic > 0 else "falling"
    return f"{direction} with depth (Kendall's test, p = {result.pvalue:.4f})"


def _real(trained: Sequence[Trained]) -> str:
    """Which differences between depths are real, and what single runs would have shown."""
    lines = []
    for measure in ("test_value", "test_loss", "train_value", "train_loss"):
        means = [_mean(n, measure) for n in trained]
        lines.append(f"- {COLUMNS[measure]}: {_trend(trained, means)}; {_pairs(trained, measure)}")
    values = [n.test_value for n in trained]
    deviation = float(np.sqrt(np.mean([v.var(ddof=1) for v in values])))
    random = np.random.default_rng(0)
    spans = np.ptp(random.normal(0.0, deviation, (10_000, len(trained))), axis=1)
    low, high = PUBLISHED["test_value"]
    share = float((spans >= high - low).mean())
    best = max(trained, key=lambda n: float(n.test_value.mean()))
    accuracy, n_test = _mean(best, "test_value"), N_TEST_ROWS
    error = float(np.sqrt(accuracy * (1 - accuracy) / n_test))
    return (
        "Which differences are real (Games and Howell's test of all pairs, 5 %):\n\n"
        + "\n".join(lines)
        + "\n\nThe published accuracies are of one run a depth. With the deviation over seeds "
        f"that is measured here, {deviation:.4f}, the best and the worst of {len(trained)} equal "
        f"networks are {np.median(spans):.4f} apart in half of all cases, and as far as "
        f"published, {high - low:.4f}, or farther, in {share:.0%} of them"
        + (": the published ups and downs are what chance gives. " if share > 0.05 else ". ")
        + f"The best mean here is that of {best.name}, {accuracy:.4f}; the {n_test:,} test rows "
        f"alone leave each of these accuracies uncertain by ± {1.96 * error:.4f}, alike for all "
        "depths."
    )


def _pairs(trained: Sequence[Trained], measure: str) -> str:
    pairs = real_differences(trained, measure)
    total = len(trained) * (len(trained) - 1) // 2
    if not pairs:
        return f"none of {total} pairs differs by more than seeds do"
    a, b, by, p = min(pairs, key=lambda pair: pair[3])
    return (
        f"{len(pairs)} of {total} pairs differ by more than seeds do, the surest {a} against {b}, "
        f"{by:+.4f} (p = {p:.4f})"
    )


def _above(record: StudyRecord) -> str:
    value = record.winner.get("test_value")
    if value is None:
        return ""
    low, high = record.winner["test_interval"]
    return (
        f"The best published test accuracy is {BEST_PUBLISHED}. The network that a search finds "
        f"(below) comes {abs(value - BEST_PUBLISHED):.4f} "
        f"{'above' if value > BEST_PUBLISHED else 'below'} it (difference "
        f"{low - BEST_PUBLISHED:+.4f} to {high - BEST_PUBLISHED:+.4f} with 95 %, the published "
        "figure taken as exact)."
    )


STUDY = Study(
    title="Depth 1 to 10 on MNIST",
    question="""
A report trained networks of one to ten hidden layers on MNIST: 50 units wide, ReLU, Adam 0.001,
batches of 32, at most 50 epochs, early stopping on the training loss with patience 1, each depth
once. Published: training accuracy 0.9856 to 0.9958, training loss 0.0129 to 0.0510, 84 to 171 s
without a trend, test accuracy 0.9683 to 0.9768. Which of these differences are real, and how good
can such a network be?
""",
    data=DataOptions("mnist", scaling="unit"),
    networks=networks,
    n_seeds=5,
    tell=tell,
    caption="Accuracy and loss over depth, means with 95 % intervals over seeds",
)
