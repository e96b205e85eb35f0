"""MNIST classification against depth."""

from collections.abc import Sequence

import numpy as np
from page import lines_figure, real_differences, results_table
from published import Study, Told
from runs import Network, Trained

from nas.data import DataOptions
from nas.study import StudyRecord

BEST_PUBLISHED = 0.9768


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
    )
    return Told("\n\n".join([results_table(trained), _compare(trained), _above(record)]), figure)


def _compare(trained: Sequence[Trained]) -> str:
    ranges = {
        "training accuracy": ([n.train_value for n in trained], 0.9856, 0.9958),
        "training loss": ([n.train_loss for n in trained], 0.0129, 0.0510),
        "test accuracy": ([n.test_value for n in trained], 0.9683, 0.9768),
    }
    lines = []
    for name, (values, low, high) in ranges.items():
        means = [float(v.mean()) for v in values]
        inside = sum(low <= mean <= high for mean in means)
        lines.append(
            f"- {name}: published {low:.4f} to {high:.4f}, here {min(means):.4f} to "
            f"{max(means):.4f} (means over seeds; {inside} of {len(means)} within)"
        )
    seconds = [n.seconds for n in trained]
    lines.append(
        f"- time: published 84 to 171 s without a trend, here {min(seconds):.1f} to "
        f"{max(seconds):.1f} s for a network, whose seeds train together"
    )
    pairs = real_differences(trained)
    if not pairs:
        real = (
            "No two depths differ in test accuracy by more than seeds do (Games and Howell's "
            "test, 5 %): with one seed a depth, the published ups and downs are noise."
        )
    else:
        shown = sorted(pairs, key=lambda pair: pair[3])
        real = (
            f"Of {len(trained) * (len(trained) - 1) // 2} pairs of depths, {len(pairs)} differ in "
            "test accuracy by more than seeds do (Games and Howell's test, 5 %): "
            + "; ".join(f"{a} against {b} {d:+.4f} (p = {p:.3f})" for a, b, d, p in shown[:8])
            + (" and others." if len(shown) > 8 else ".")
            + " All other differences may be noise."
        )
    means = {n.name: float(n.test_value.mean()) for n in trained}
    best = max(means, key=lambda name: means[name])
    error = float(np.sqrt(means[best] * (1 - means[best]) / 10_000))
    return (
        "Against the published ranges:\n\n"
        + "\n".join(lines)
        + f"\n\n{real} The best mean is that "
        f"of {best}, {means[best]:.4f}; the 10,000 test rows alone leave each of these accuracies "
        f"uncertain by ± {1.96 * error:.4f}, alike for all depths."
    )


def _above(record: StudyRecord) -> str:
    value = record.winner.get("test_value")
    if value is None:
        return ""
    low, high = record.winner["test_interval"]
    return (
        f"The best published test accuracy is {BEST_PUBLISHED}. The network that a search finds "
        f"(below) comes {value - BEST_PUBLISHED:+.4f} above it ({low - BEST_PUBLISHED:+.4f} to "
        f"{high - BEST_PUBLISHED:+.4f} with 95 %)."
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
