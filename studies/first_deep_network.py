"""A first deep network: large random weights and a tiny learning rate."""

from collections.abc import Sequence
from typing import Any

from page import bars_figure, causes_table, results_table
from published import Study, Told
from runs import Network, Trained

from nas.data import DataOptions
from nas.study import StudyRecord

HE = "He's initializer"
NO_HIDDEN, ONE_HIDDEN = "no hidden layer", "one hidden layer of 500"
PUBLISHED = {NO_HIDDEN: 0.60, ONE_HIDDEN: 0.60, "deep, as published": 0.8575}


def networks(quick: bool) -> Sequence[Network]:
    deep: dict[str, Any] = {
        "layers": "fc20-fc20" if quick else "fc500-fc500",
        "activation": "relu",
        "initializer": "normal(1)",
        "bias_initializer": "normal(1)",
        "output_initializer": "same",
        "optimizer": "sgd",
        "learning_rate": 1e-4,
        "batch_size": 100,
        "steps": 20 if quick else 5000,
    }
    linear = {
        **{key: deep[key] for key in ("optimizer", "learning_rate", "batch_size", "steps")},
        "depth": 0,
        "output_initializer": "normal(1)",
    }
    he = {
        "initializer": "he_normal",
        "bias_initializer": "zeros",
        "output_initializer": "glorot_uniform",
    }
    rows: dict[str, dict[str, Any]] = {
        NO_HIDDEN: linear,
        NO_HIDDEN + ", rate 0.01": {**linear, "learning_rate": 0.01},
        ONE_HIDDEN: {**deep, "layers": "fc20" if quick else "fc500"},
        "deep, as published": deep,
        HE: {**deep, **he},
        "learning rate 0.001": {**deep, "learning_rate": 1e-3},
        "learning rate 0.01": {**deep, "learning_rate": 1e-2},
        "Adam": {**deep, "optimizer": "adam"},
        "Adam, rate 0.001": {**deep, "optimizer": "adam", "learning_rate": 1e-3},
        HE + ", rate 0.1": {**deep, **he, "learning_rate": 0.1},
        HE + ", Adam, rate 0.001": {
            **deep, **he, "optimizer": "adam", "learning_rate": 1e-3,
        },
    }  # fmt: skip
    published = {name: {"test_value": f"{value:.4f}"} for name, value in PUBLISHED.items()}
    return [Network(name, row, published.get(name)) for name, row in rows.items()]


def _loss_before(trained: Sequence[Trained], name: str) -> float:
    (network,) = (network for network in trained if network.name == name)
    exam = network.result.examination
    assert exam is not None
    return exam.loss_before


def tell(trained: Sequence[Trained], record: StudyRecord) -> Told:
    mean = {network.name: float(network.test_value.mean()) for network in trained}
    own = mean["deep, as published"]
    gains = [
        f"- {name}: {value:.4f}, {100 * (value - own):+.1f} points"
        for name, value in mean.items()
        if name not in PUBLISHED
    ]
    text = [
        results_table(trained, ("train_loss", "train_value", "test_loss", "test_value")),
        f"The deep network comes to {100 * own:.2f} %, {100 * (own - 0.8575):+.2f} points from the "
        "published 85.75 %. Of the shallow one, 60 %, no details are published: with the same "
        f"initial weights, rate and steps {100 * mean[NO_HIDDEN]:.1f} % come out without a hidden "
        f"layer, and {100 * mean[ONE_HIDDEN]:.1f} % with one of 500 units.",
        "One change at a time brings:",
        "\n".join(gains),
        "### What `nas diagnose` says",
        causes_table(trained),
        "Weights and biases of deviation 1 let signals grow by a factor of 16 in each layer of 500 "
        f"units: the loss before training is {_loss_before(trained, 'deep, as published'):,.0f}, "
        f"with He's initializer {_loss_before(trained, HE):.2f}. Initializer and rate belong "
        f"together: with the published rate He's comes to {mean[HE]:.4f}, with 0.1 to "
        f"{mean[HE + ', rate 0.1']:.4f}.",
    ]
    return Told("\n\n".join(text), bars_figure(trained, PUBLISHED))


STUDY = Study(
    title="A first deep network",
    question="""
A first deep network for MNIST, 784-500-500-10 with ReLU, weights and biases drawn from N(0, 1),
plain gradient descent with rate 0.0001 and 5,000 steps of batches of 100, reached a test accuracy
of 85.75 %; a shallow one before it 60 %. What brings one change at a time, and what does a search
find? With `--tensorboard DIR` the search below writes its graph and curves for TensorBoard.
""",
    data=DataOptions("mnist", scaling="unit"),
    networks=networks,
    n_seeds=4,
    tell=tell,
    options=" --tensorboard runs",
    caption="Test accuracy of each network; diamonds are published",
)
