"""A first deep network: large random weights and a tiny learning rate."""

from collections.abc import Sequence
from typing import Any

from page import causes_table, difference, points_figure, results_table
from published import Study, Told
from runs import Network, Trained

from nas.data import DataOptions
from nas.study.record import StudyRecord

DEEP = "deep, as published"
NO_HIDDEN, ONE_HIDDEN = "no hidden layer", "one hidden layer of 500"
NO_HIDDEN_FASTER = "no hidden layer, rate 0.01"
HE = "He's initializer"  # and biases of zero
HE_FASTER = "He's initializer, rate 0.1"
ONE_CHANGE = (HE, "learning rate 0.001", "learning rate 0.01", "Adam")
SEVERAL_CHANGES = ("Adam, rate 0.001", HE_FASTER, "He's initializer, Adam, rate 0.001")
N_CHANGES = len(ONE_CHANGE) + len(SEVERAL_CHANGES)
PUBLISHED = {NO_HIDDEN: 0.60, ONE_HIDDEN: 0.60, DEEP: 0.8575}


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
        NO_HIDDEN_FASTER: {**linear, "learning_rate": 0.01},
        ONE_HIDDEN: {**deep, "layers": "fc20" if quick else "fc500"},
        DEEP: deep,
        HE: {**deep, **he},
        "learning rate 0.001": {**deep, "learning_rate": 1e-3},
        "learning rate 0.01": {**deep, "learning_rate": 1e-2},
        "Adam": {**deep, "optimizer": "adam"},
        "Adam, rate 0.001": {**deep, "optimizer": "adam", "learning_rate": 1e-3},
        HE_FASTER: {**deep, **he, "learning_rate": 0.1},
        SEVERAL_CHANGES[-1]: {
            **deep, **he, "optimizer": "adam", "learning_rate": 1e-3,
        },
    }  # fmt: skip
    published = {name: {"test_value": f"{value:.4f}"} for name, value in PUBLISHED.items()}
    return [Network(name, row, published.get(name)) for name, row in rows.items()]


def _loss_before(network: Trained) -> float:
    exam = network.result.examination
    assert exam is not None
    return exam.loss_before


def tell(trained: Sequence[Trained], record: StudyRecord) -> Told:
    mean = {network.name: float(network.test_value.mean()) for network in trained}
    own = mean[DEEP]
    by_name = {network.name: network for network in trained}

    def gains(names: Sequence[str]) -> str:
        return "\n".join(
            f"- {name}: {difference(by_name[name], by_name[DEEP], n_comparisons=N_CHANGES)}"
            for name in names
        )

    slow = by_name[HE]
    unnamed = (
        " Of the former `nas diagnose` finds nothing wrong: its kernels move in each epoch, and "
        "no rule asks whether they would have moved on."
        if not slow.causes
        else ""
    )
    text = [
        results_table(trained, ("train_loss", "train_value", "test_loss", "test_value")),
        f"The deep network comes to {100 * own:.2f} %, {100 * abs(own - PUBLISHED[DEEP]):.2f} "
        f"points {'above' if own > PUBLISHED[DEEP] else 'below'} the published 85.75 %. Of the "
        "shallow one, 60 %, no details are published: with the same initial weights, rate and "
        f"steps {100 * mean[NO_HIDDEN]:.1f} % come out without a hidden "
        f"layer, {100 * mean[ONE_HIDDEN]:.1f} % with one of 500 units, and "
        f"{100 * mean[NO_HIDDEN_FASTER]:.1f} % without one and with rate 0.01. The published "
        "60 % lie between: a larger rate, smaller initial weights or more steps lead there.",
        "What one change at a time brings to the deep network, as differences in test accuracy "
        "with 95 % intervals over seeds (Welch's test, p-values times "
        f"{N_CHANGES} for as many comparisons):",
        gains(ONE_CHANGE),
        "And several together:",
        gains(SEVERAL_CHANGES),
        "### What `nas diagnose` says",
        causes_table(trained),
        "Weights and biases of deviation 1 let signals grow by a factor of √(500 / 2) ≈ 16 in each "
        f"layer of 500 units: the loss before training is {_loss_before(by_name[DEEP]):,.0f}, with "
        f"He's initializer {_loss_before(slow):.2f}. Initializer and rate belong together: with "
        f"the published rate He's comes to {mean[HE]:.4f}, with 0.1 to "
        f"{mean[HE_FASTER]:.4f}.{unnamed}",
    ]
    return Told("\n\n".join(text), points_figure(trained, PUBLISHED))


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
