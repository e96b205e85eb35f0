"""What a function's model is trained with, and what its outputs are taken for."""

from typing import Any

import keras
import numpy as np
import pytest
from functions import IRIS, iris_folds, plain_model
from keras import layers, ops
from scipy.special import expit, log_softmax

from nas.errors import NasError
from nas.families.custom import custom_space
from nas.families.family import Outputs, as_logits
from nas.families.own_model import OwnNetwork
from nas.metrics import predictions_of
from nas.space import RandomSuggester
from nas.spec import Problem, TrialSpec

FOLD = iris_folds()[0]
CE, BCE = keras.losses.CategoricalCrossentropy, keras.losses.BinaryCrossentropy
SPARSE = "sparse_categorical_crossentropy"


class OwnObjective(keras.Model):
    """Computes its loss itself, as a contrastive or distilled model does."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        return ops.mean(ops.square(y - y_pred))


def network(build: Any, problem: Problem = IRIS, **training: Any) -> OwnNetwork:
    return OwnNetwork(spec_of(build, problem, **training), build)


def spec_of(build: Any, problem: Problem = IRIS, **training: Any) -> TrialSpec:
    return custom_space(build, training).sample(RandomSuggester(0), problem)


def model(activation: Any, loss: Any = None, optimizer: Any = "sgd") -> Any:
    def build(trial: Any) -> keras.Model:
        net = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation)])
        if loss is not None:
            net.compile(optimizer, loss() if isinstance(loss, type) else loss)
        return net

    return build


def focal(y: Any, p: Any) -> Any:
    return -ops.sum(y * (1 - p) ** 2 * ops.log(p + 1e-7), axis=-1)


@pytest.mark.parametrize(
    ("build", "outputs", "scored_as", "is_sparse"),
    [
        (model("softmax", SPARSE), "probabilities", "cross_entropy", True),
        (model(None, CE(from_logits=True)), "logits", "cross_entropy", False),
        (model("sigmoid", "binary_crossentropy"), "shares", "cross_entropy", False),
        (model(None, BCE(from_logits=True)), "logits", "logistic", False),
        (model("softmax", focal), "probabilities", "cross_entropy", False),
        (model("softmax", ["crossentropy"]), "probabilities", "cross_entropy", False),
        (model("softmax"), "probabilities", "cross_entropy", False),
        (model(None), "logits", "cross_entropy", False),
    ],
)  # fmt: skip
def test_outputs_and_labels_follow_the_model(
    build: Any, outputs: str, scored_as: str, is_sparse: bool
) -> None:
    net = network(build)
    assert (net.outputs, net.scored_as) == (outputs, scored_as)
    labels = net.inside.labels(FOLD, FOLD.y_train[:5])
    assert labels.shape == ((5,) if is_sparse else (5, 3))
    z = np.array([[1.0, -2.0, 0.5]], np.float32)
    given = {"probabilities": np.exp(log_softmax(z, axis=1)), "shares": expit(z), "logits": z}
    loss = float(net.inside.loss(net.inside.labels(FOLD, np.array([0])), given[outputs]))
    expected = -log_softmax(z, axis=1)[0, 0]
    if outputs == "shares" or scored_as == "logistic":
        expected = -np.log(np.where([True, False, False], expit(z), expit(-z))).mean()
    elif spec_of(build).architecture.loss == "focal":
        expected *= (1 - np.exp(-expected)) ** 2
    assert loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["probabilities", "shares", "logits"])
def test_probabilities_survive_the_way_through_logits(kind: Outputs) -> None:
    z = np.random.default_rng(0).normal(size=(6, 3))
    p = np.exp(log_softmax(z, axis=1))
    outputs = {"probabilities": p, "shares": 0.3 * p, "logits": z}[kind]
    found = predictions_of("multiclass", as_logits(outputs, kind))
    np.testing.assert_allclose(found, p, rtol=1e-6)
    if kind == "shares":
        one = predictions_of("binary", as_logits(p[:, :1], kind))
        np.testing.assert_allclose(one, p[:, 0], rtol=1e-6)


def test_what_a_model_comes_with_is_kept_and_the_rest_is_said_by_words() -> None:
    own = network(model("softmax", CE, keras.optimizers.Adam(0.02)), epochs=2)
    assert type(own.model.optimizer).__name__ == "Adam" and not own.sets_rates
    without_loss = network(model(None, []), epochs=2)
    assert without_loss.model.loss.from_logits and not without_loss.sets_rates
    plain = network(plain_model, optimizer="rmsprop", learning_rate=0.3, label_smoothing=0.2)
    assert plain.sets_rates and plain.model.loss.label_smoothing == 0.2
    assert type(plain.model.optimizer).__name__ == "RMSprop"
    assert float(plain.model.optimizer.learning_rate) == pytest.approx(0.3)


def test_a_model_may_compute_its_own_loss() -> None:
    def build(trial: Any) -> keras.Model:
        inputs = keras.Input((4,))
        net = OwnObjective(inputs, layers.Dense(3, "softmax")(inputs))
        net.compile("adam")
        return net

    net = network(build)
    y = net.inside.labels(FOLD, FOLD.y_train[:5])
    p = net.model(FOLD.x_train[:5])
    assert float(net.model.compute_loss(y=y, y_pred=p)) == pytest.approx(
        float(ops.mean((y - p) ** 2))
    )
    assert net.mean_loss(FOLD, FOLD.y_train[:5], np.asarray(p)) is None


def test_initial_weights_follow_the_seed_and_need_a_new_model() -> None:
    net = network(plain_model)
    first, again, other = (net.initial_weights(seed, FOLD.x_train) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()
    kept = model(None)(None)
    with pytest.raises(NasError, match="returned the same model again"):
        network(lambda trial: kept).initial_weights(1, FOLD.x_train)
