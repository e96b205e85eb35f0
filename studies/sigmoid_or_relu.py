"""Sigmoid or ReLU, with plain gradient descent, in deeper and deeper networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from page import causes_table, difference, points_figure, results_table, table
from published import Study, Told
from runs import Network, Trained

from nas.data import DataOptions
from nas.study.record import StudyRecord

PUBLISHED = {
    "1 layer": 0.92,
    "2 layers, sigmoid": 0.94,
    "4 layers, sigmoid": 0.918,
    "4 layers, ReLU": 0.976,
}
FROM = 0.88  # where the figure begins; what is below is in the table
COMPARED = (  # the dip, and what removes it
    ("4 layers, sigmoid", "1 layer"),
    ("4 layers, sigmoid", "2 layers, sigmoid"),
    ("4 layers, ReLU", "4 layers, sigmoid"),
    ("4 layers, sigmoid, Adam", "4 layers, sigmoid"),
    ("4 layers, ReLU, Adam", "4 layers, ReLU"),
)
HIDDEN = {
    "2 layers": "fc200",
    "4 layers": "fc200-fc100-fc60",
    "7 layers": "fc200-" * 2 + "fc100-" * 2 + "fc60-fc60",
}


def networks(quick: bool) -> Sequence[Network]:
    plain: Mapping[str, Any] = {
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "batch_size": 100,
        "epochs": 1 if quick else 10,
    }
    rows: dict[str, dict[str, Any]] = {"1 layer": {"depth": 0}}
    for layers, text in HIDDEN.items():
        rows[f"{layers}, sigmoid"] = {"layers": text, "activation": "sigmoid"}
    for layers in ("4 layers", "7 layers"):
        rows[f"{layers}, ReLU"] = {"layers": HIDDEN[layers], "activation": "relu"}
    rows["4 layers, sigmoid, Adam"] = {
        "layers": HIDDEN["4 layers"], "activation": "sigmoid", "optimizer": "adam",
        "learning_rate": 0.001,
    }  # fmt: skip
    rows["4 layers, ReLU, Adam"] = {**rows["4 layers, sigmoid, Adam"], "activation": "relu"}
    published = {name: {"test_value": f"{value:.3f}"} for name, value in PUBLISHED.items()}
    return [Network(name, {**plain, **row}, published.get(name)) for name, row in rows.items()]


def tell(trained: Sequence[Trained], record: StudyRecord) -> Told:
    by_name = {network.name: network for network in trained}
    mean = {name: float(network.test_value.mean()) for name, network in by_name.items()}
    loss = {name: float(network.train_loss.mean()) for name, network in by_name.items()}
    differences = [
        f"- {a} against {b}: {difference(by_name[a], by_name[b], n_comparisons=len(COMPARED))}"
        for a, b in COMPARED
    ]
    text = [
        results_table(trained, ("train_loss", "train_value", "test_loss", "test_value")),
        "Differences in test accuracy, with 95 % intervals over seeds (Welch's test, p-values "
        f"times {len(COMPARED)} for as many comparisons):\n\n" + "\n".join(differences),
        "### Why: what `nas diagnose` sees",
        _gradients([n for n in trained if n.spec.architecture.units]),
        "A sigmoid's slope is at most a quarter, so each layer hands on less of the gradient to "
        "the one before it, and the first ones hardly move. Over-fitting would show as a lower "
        f"training loss; that of four sigmoid layers is {loss['4 layers, sigmoid']:.3f}, of two "
        f"{loss['2 layers, sigmoid']:.3f}. The rules of `nas diagnose` stay silent while a network "
        "is no worse than a linear model on its inputs; with seven sigmoid layers, which reach "
        f"{mean['7 layers, sigmoid']:.3f}, they say:",
        causes_table(trained),
    ]
    # The seventh layer's network is far to the left of the others.
    shown = [network for network in trained if network.test_value.mean() > FROM]
    return Told("\n\n".join(text), points_figure(shown, PUBLISHED, FROM))


def _gradients(trained: Sequence[Trained]) -> str:
    rows = []
    for network in trained:
        exam = network.result.examination
        assert exam is not None
        ratio = exam.gradient_before[0] / exam.gradient_before[-1]
        moved = [f"{step:.2g}" for step in exam.first_step]
        rows.append(
            [
                network.name,
                f"{ratio:.2g}",
                ", ".join(moved),
                f"{float(np.mean(network.train_loss)):.3f}",
            ]
        )
    header = ["network", "gradient, first over last layer", "change of each kernel in epoch 1",
              "training loss"]  # fmt: skip
    return table(header, rows)


STUDY = Study(
    title="Sigmoid or ReLU",
    question="""
"The four layer network's recognition rate is lower than the one layer's": with plain stochastic
gradient descent on MNIST, one layer reached 92 %, two 94 % and four 91.8 % with sigmoid, and 97.6
% with ReLU. The write-up does not give widths and rates; here the hidden layers have 200, 100 and
60 units, and training is 10 epochs of gradient descent with rate 0.1 and batches of 100. Why does
depth hurt, and what mends it?
""",
    data=DataOptions("mnist", scaling="unit"),
    networks=networks,
    n_seeds=5,
    tell=tell,
    caption="Test accuracy of each network but those below 0.88; diamonds are published",
)
