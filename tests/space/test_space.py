"""Search spaces in Python: what is drawn, when, from where, and what is refused."""

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.layers import convolution_blocks
from nas.space import (
    Choice,
    Constant,
    Parameter,
    RandomSuggester,
    Range,
    SearchSpace,
    SpaceError,
    changed_spec,
    layer_units,
    load_space,
    parameter,
    params_of,
    shipped_spaces,
)
from nas.space.vocabulary import NETWORKS, STRUCTURE, WORDS, words_of
from nas.spec import Problem

TASKS = ("binary", "multiclass", "regression")
IMAGE = (2, 2, 1)
BINARY = Problem("binary", 4, 1, IMAGE, 4)
# Whole networks have tests of their own.
FAMILIES = {
    network: {key: word for key, word in words_of(network).items() if key != "layers"}
    for network in NETWORKS
}
MLP = FAMILIES["mlp"]
# Largest value that the strategy gives; 1000 elsewhere.
CAPS = {"depth": 6, "blocks": 6, "convolutions": 4, "filter_growth": 3, "head_depth": 4}


def draw_specs(space, n=30, problem=BINARY):
    """`n` seeded samples, as pairs of specification and suggested parameters."""
    pairs = []
    for seed in range(n):
        suggester = RandomSuggester(seed)
        pairs.append((space.sample(suggester, problem), suggester.params))
    return pairs


def fields(spec):
    """The values of a specification by parameter name, but for most of those of its structure."""
    architecture, training = spec.architecture, spec.training
    values = {
        key: getattr(part, key)
        for part in (architecture, training)
        for key in part.__dataclass_fields__
        if key in FAMILIES[architecture.network] and key not in STRUCTURE
    }
    depth = "head_depth" if architecture.network == "cnn" else "depth"
    return values | {depth: len(architecture.units)}


# Random valid spaces


@st.composite
def values_of(draw, key):
    word = WORDS[key]
    if key == "loss":
        return "auto"  # the only one for every task
    if word.kind == "bool":
        return draw(st.booleans())
    if word.kind == "initializer":
        return draw(st.sampled_from([*word.choices, "normal(0.5)", "uniform(-1, 0.5)"]))
    if word.kind == "str":
        return draw(st.sampled_from(word.choices))
    high = min(word.high or math.inf, CAPS.get(key, 1000))
    if word.kind == "int":
        return draw(st.integers(int(word.low), int(high)))
    number = st.floats(
        word.low, high, exclude_min=word.open_low, exclude_max=word.open_high, allow_subnormal=False
    )
    return draw(number.filter(lambda x: x == 0 or x > 1e-9))


@st.composite
def domains(draw, key):
    value = values_of(key)
    kinds = ["constant", "choice"]
    if WORDS[key].kind in ("int", "float"):
        kinds += ["range", "log", "step"]
    match draw(st.sampled_from(kinds)):
        case "constant":
            return Constant(draw(value))
        case "choice":
            return Choice(draw(st.lists(value, min_size=1, max_size=4, unique=True)))
        case "log":
            low, high = sorted(draw(st.tuples(value, value)))
            return Range(low, high, low > 0, prior=draw(st.sampled_from([None, low, high])))
        case "step":
            low, high = sorted(draw(st.tuples(value, value)))
            if WORDS[key].kind == "int":
                return Range(low, high, step=draw(st.integers(1, 5)))
            # Decimal fractions, as people write them: the steps that do not add up exactly.
            step = draw(st.sampled_from([0.01, 0.05, 0.1, 0.3]))
            low = round(low, 2) if WORDS[key].accepts(round(low, 2)) else low
            n_steps = draw(st.integers(0, 9))
            stepped = round(low + n_steps * step, 2)
            high = stepped if stepped >= low and WORDS[key].accepts(stepped) else max(low, high)
            return Range(low, high, step=step)
    low, prior, high = sorted(draw(st.tuples(value, value, value)))
    return Range(low, high, prior=draw(st.sampled_from([None, prior])))


@st.composite
def conditions(draw, key, parameters, words):
    order = list(words)
    parents = [
        other
        for other in order[: order.index(key)]
        # Its default depends on the optimizer; a width may differ from layer to layer.
        if other not in ("weight_decay", "width")
    ]
    when = {}
    for other in draw(st.lists(st.sampled_from(parents), max_size=2, unique=True)):
        match parameters[other].domain if other in parameters else Constant(WORDS[other].default):
            case Constant(value):
                occurs = value
            case Choice(values):
                occurs = draw(st.sampled_from(values))
            case Range(low=low):
                occurs = low
        more = draw(st.lists(values_of(other), max_size=2))
        when[other] = tuple(dict.fromkeys([occurs, *more]))
    return when


@st.composite
def spaces(draw):
    """Valid spaces of any shape: constants, choices, ranges, conditions, widths by layer."""
    network = draw(st.sampled_from(NETWORKS))
    words = FAMILIES[network]
    size = draw(st.integers(0, 12))
    keys = draw(st.sets(st.sampled_from(list(words)), min_size=size, max_size=size))
    parameters = {}
    for number, key in enumerate(words):  # parents come before what depends on them
        if key not in keys:
            continue
        domain = draw(domains(key))
        is_conditional = number > 0 and draw(st.booleans())
        when = draw(conditions(key, parameters, words)) if is_conditional else {}
        per_layer = key == "width" and "shape" not in keys and draw(st.booleans())
        parameters[key] = Parameter(domain, when, per_layer)
    characters = st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cs", "Z"), include_characters=" "
    )
    text = st.text(characters, max_size=12)
    return SearchSpace(
        parameters,
        name=draw(st.sampled_from(["space", "mine"])),
        network=network,
        data=draw(st.none() | text),
        target=draw(st.none() | text),
    )


def inside(value, domain):
    match domain:
        case Constant(constant):
            return value == constant
        case Choice(values):
            return value in values
        case Range(low, high, _, step):
            steps = 0 if step is None else (value - low) / step
            return low <= value <= high and abs(steps - round(steps)) < 1e-6


def expected_values(space, params, task):
    """What each parameter should be, and the names that should have been asked for."""
    values, asked = {}, set()
    for key, word in FAMILIES[space.network].items():
        entry = space.parameters.get(key)
        conditions = [*word.used_with.items(), *(entry.when.items() if entry else ())]
        if (
            entry is None
            or task not in word.tasks
            or any(values.get(other, least) < least for other, least in word.at_least.items())
            or not all(values[other] in allowed for other, allowed in conditions)
        ):
            is_adamw = key == "weight_decay" and values["optimizer"] == "adamw"
            values[key] = 0.004 if is_adamw else word.default
        elif isinstance(entry.domain, Constant):
            values[key] = entry.domain.value
        elif entry.per_layer:
            asked |= {f"width_{layer}" for layer in range(1, values["depth"] + 1)}
        else:
            asked.add(key)
            values[key] = params[key]
    if values["steps"] and "epochs" not in asked and not _is_given(space, values, "epochs"):
        values["epochs"] = values["steps"]
    return values, asked


def _is_given(space, values, key):
    entry = space.parameters.get(key)
    return entry is not None and all(values[k] in allowed for k, allowed in entry.when.items())


@settings(max_examples=150, deadline=None)
@given(spaces(), st.sampled_from(TASKS), st.integers(0, 2**32))
def test_a_sample_is_what_the_space_says(space, task, seed):
    suggester = RandomSuggester(seed)
    spec = space.sample(suggester, Problem(task, 4, 1, IMAGE, 4))

    for name, value in suggester.params.items():
        assert inside(
            value, space.parameters["width" if name.startswith("width_") else name].domain
        )
    for key, value in fields(spec).items():
        assert WORDS[key].accepts(value), key

    expected, asked = expected_values(space, suggester.params, task)
    assert set(suggester.params) == asked
    for key, value in fields(spec).items():
        assert value == expected[key], key
    if space.network == "cnn":
        blocks = ("blocks", "convolutions", "filters", "filter_growth", "kernel", "pooling", "head")
        items = convolution_blocks(*(expected[key] for key in blocks))
        assert spec.architecture.convolutions == tuple(map(str, items))
        assert spec.architecture.units == (expected["head_width"],) * expected["head_depth"]
    elif "width" in expected and expected["depth"]:
        units = layer_units(expected["depth"], expected["width"], expected["shape"])
        assert spec.architecture.units == units


@settings(max_examples=50, deadline=None)
@given(spaces(), st.sampled_from(TASKS))
def test_no_trial_has_more_epochs_than_max_epochs(space, task):
    for spec, _ in draw_specs(space, 5, Problem(task, 4, 1, IMAGE, 4)):
        assert spec.training.epochs <= space.max_epochs


# What is searched


SEARCHES = {
    "scaling": Choice(["robust", "quantile"]),
    "embedding": Choice(["none", "periodic", "piecewise"]),
    "embedding_size": Range(2, 5),
    "frequencies": Range(2, 5),
    "frequency_scale": Range(0.1, 0.2),
    "bins": Range(4, 8),
    "depth": Range(2, 5),
    "width": Range(8, 9),
    "shape": Choice(["funnel", "pyramid"]),
    "blocks": Range(1, 3),
    "convolutions": Range(1, 2),
    "filters": Range(8, 9),
    "filter_growth": Range(1.0, 3.0),
    "kernel": Choice([3, 5]),
    "pooling": Choice(["max", "average", "stride"]),
    "head": Choice(["flatten", "average", "max"]),
    "head_depth": Range(0, 2),
    "head_width": Range(8, 9),
    "members": Choice([1, 4, 8]),
    "activation": Choice(["gelu", "tanh"]),
    "normalization": Choice(["batch", "layer"]),
    "normalization_momentum": Range(0.5, 0.9),
    "residual": Choice([False, True]),
    "initializer": Choice(["he_normal", "orthogonal"]),
    "bias_initializer": Choice(["zeros", "constant(0.1)"]),
    "output_initializer": Choice(["same", "normal(0.1)"]),
    "dropout": Range(0.1, 0.5),
    "spatial_dropout": Range(0.1, 0.5),
    "shift": Range(0.1, 0.5),
    "rotation": Range(1, 45),
    "zoom": Range(0.1, 0.5),
    "flip": Choice(["none", "both"]),
    "loss": Choice(["cross_entropy", "logistic"]),
    "optimizer": Choice(["sgd", "adam"]),
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "schedule": Choice(["cosine", "constant"]),
    "warmup": Range(0.1, 0.2),
    "decay_to": Range(0.1, 0.2),
    "momentum": Range(0.5, 0.9),
    "nesterov": Choice([False, True]),
    "beta_1": Range(0.5, 0.8),
    "beta_2": Range(0.5, 0.8),
    "rho": Range(0.5, 0.8),
    "epsilon": Range(1e-5, 1e-3),
    "initial_accumulator": Range(0.2, 0.3),
    "weight_decay": Range(0.1, 0.2),
    "l1": Range(0.1, 0.2),
    "l2": Range(0.1, 0.2),
    "label_smoothing": Range(0.1, 0.2),
    "clip_norm": Range(0.1, 0.2),
    "batch_size": Choice([16, 64]),
    "epochs": Range(2, 5),
    "steps": Range(10, 20),
    "early_stopping": Range(1, 5),
}
ENABLES = {
    "embedding_size": {"embedding": "periodic"},
    "frequencies": {"embedding": "periodic"},
    "frequency_scale": {"embedding": "periodic"},
    "bins": {"embedding": "piecewise"},
    "momentum": {"optimizer": "sgd"},
    "nesterov": {"optimizer": "sgd"},
    "rho": {"optimizer": "rmsprop"},
    "initial_accumulator": {"optimizer": "adagrad"},
    "decay_to": {"schedule": "cosine"},
    "normalization_momentum": {"normalization": "batch"},
    "shape": {"depth": 3, "width": 64},
    "residual": {"depth": 2},
}


def test_the_table_has_every_word():
    assert {*SEARCHES, "layers"} == set(WORDS)


@pytest.mark.parametrize(
    "network, key", [(network, key) for network, words in FAMILIES.items() for key in words]
)
def test_every_parameter_can_be_searched(network, key):
    enables = {k: v for k, v in ENABLES.get(key, {}).items() if k in FAMILIES[network]}
    space = SearchSpace({key: SEARCHES[key], **enables}, network=network)
    pairs = draw_specs(space)
    assert all(set(params) == {key} for _, params in pairs)
    if key in STRUCTURE:
        seen = {(spec.architecture.convolutions, spec.architecture.units) for spec, _ in pairs}
    else:
        seen = {fields(spec)[key] for spec, _ in pairs}
        assert seen == {params[key] for _, params in pairs}
    assert len(seen) > 1


def test_nothing_is_embedded_where_there_are_no_numbers():
    space = SearchSpace({"embedding": Choice(["periodic", "none"]), "frequencies": Range(2, 5)})
    for spec, params in draw_specs(space, problem=Problem("binary", 4, 1, IMAGE)):
        assert (spec.architecture.embedding, params) == ("none", {})


def test_an_empty_space_has_the_defaults():
    [(spec, params)] = draw_specs(SearchSpace({}), 1)
    assert params == {}
    assert spec.problem == BINARY
    assert spec.architecture.network == "mlp"
    assert spec.architecture.units == (64,) * MLP["depth"].default
    expected = {key: MLP[key].default for key in fields(spec)}
    assert fields(spec) == expected


def test_an_empty_space_of_convolutions_has_the_defaults():
    [(spec, params)] = draw_specs(SearchSpace({}, network="cnn"), 1)
    assert params == {}
    assert str(spec.architecture) == "32c3-mp2-64c3-mp2-fc64 relu"
    assert spec.architecture.network == "cnn"
    assert fields(spec) == {key: WORDS[key].default for key in fields(spec)}


@pytest.mark.parametrize(
    "key, optimizers",
    [
        ("momentum", {"sgd", "rmsprop"}),
        ("nesterov", {"sgd"}),
        ("beta_1", {"adam", "adamw", "nadam"}),
        ("beta_2", {"adam", "adamw", "nadam"}),
        ("rho", {"rmsprop"}),
        ("epsilon", {"adam", "adamw", "nadam", "rmsprop", "adagrad"}),
        ("initial_accumulator", {"adagrad"}),
    ],
)
def test_an_optimizers_parameter_is_searched_with_it_alone(key, optimizers):
    for optimizer in MLP["optimizer"].choices:
        space = SearchSpace({"optimizer": optimizer, key: SEARCHES[key]})
        [(spec, params)] = draw_specs(space, 1)
        assert (key in params) == (optimizer in optimizers)
        if optimizer not in optimizers:
            assert fields(spec)[key] == MLP[key].default


@pytest.mark.parametrize("schedule, used", [("constant", 0), ("cosine", 1), ("exponential", 1)])
def test_decay_to_needs_a_schedule_that_decays(schedule, used):
    space = SearchSpace({"schedule": schedule, "decay_to": Range(0.1, 0.5)})
    assert draw_specs(space, 1)[0][1].keys() == ({"decay_to"} if used else set())


@pytest.mark.parametrize("key", ["shape", "residual"])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_relates_layers_needs_two_of_them(key, depth):
    space = SearchSpace({"depth": depth, key: SEARCHES[key]})
    assert (key in draw_specs(space, 1)[0][1]) == (depth >= 2)


@pytest.mark.parametrize("key", ["width", "activation", "normalization", "initializer", "dropout"])
@pytest.mark.parametrize("depth", [0, 1])
def test_what_a_hidden_layer_has_needs_one(key, depth):
    space = SearchSpace({"depth": depth, key: SEARCHES[key]})
    assert (key in draw_specs(space, 1)[0][1]) == (depth >= 1)


def test_a_linear_model_has_no_units():
    [(spec, params)] = draw_specs(
        SearchSpace({"depth": 0, "width": Parameter(Range(1, 9), per_layer=True)}), 1
    )
    assert spec.architecture.units == ()
    assert params == {}


@pytest.mark.parametrize("task", TASKS)
def test_label_smoothing_is_for_classes(task):
    space = SearchSpace({"label_smoothing": Range(0.1, 0.2)})
    [(spec, params)] = draw_specs(space, 1, Problem(task, 4, 1))
    assert (spec.training.label_smoothing > 0) == ("label_smoothing" in params)
    assert ("label_smoothing" in params) == (task != "regression")


def test_a_condition_is_obeyed_and_the_default_holds_elsewhere():
    space = SearchSpace(
        {"activation": ["relu", "tanh"], "dropout": parameter(Range(0.2, 0.4), activation="tanh")}
    )
    seen = set()
    for spec, params in draw_specs(space):
        seen.add(spec.architecture.activation)
        if spec.architecture.activation == "tanh":
            assert 0.2 <= spec.architecture.dropout <= 0.4
        else:
            assert spec.architecture.dropout == 0.0
            assert "dropout" not in params
    assert seen == {"relu", "tanh"}


def test_all_conditions_must_hold_each_by_any_of_its_values():
    space = SearchSpace(
        {
            "depth": Range(1, 3),
            "activation": ["relu", "tanh", "gelu"],
            "dropout": parameter(Range(0.2, 0.4), depth=3, activation=["tanh", "gelu"]),
        }
    )
    searched = [
        (len(spec.architecture.units), spec.architecture.activation)
        for spec, params in draw_specs(space, 60)
        if "dropout" in params
    ]
    assert set(searched) == {(3, "tanh"), (3, "gelu")}


def test_conditions_chain():
    space = SearchSpace(
        {
            "optimizer": ["adam", "sgd"],
            "momentum": [0.0, 0.9],
            "clip_norm": parameter([1.0, 5.0], momentum=0.9),
        }
    )
    asked = {frozenset(params) for _, params in draw_specs(space, 60)}
    assert asked == {
        frozenset({"optimizer"}),
        frozenset({"optimizer", "momentum"}),
        frozenset({"optimizer", "momentum", "clip_norm"}),
    }


def test_a_default_satisfies_a_condition():
    space = SearchSpace({"dropout": parameter(Range(0.2, 0.4), activation="relu")})
    assert "dropout" in draw_specs(space, 1)[0][1]


def test_each_layer_draws_its_own_width():
    space = SearchSpace(
        {"depth": Range(1, 4), "width": Parameter(Range(8, 4096, log=True), per_layer=True)}
    )
    for spec, params in draw_specs(space):
        units = spec.architecture.units
        assert units == tuple(params[f"width_{k}"] for k in range(1, len(units) + 1))
        assert set(params) == {"depth", *(f"width_{k}" for k in range(1, len(units) + 1))}
    assert any(len(set(spec.architecture.units)) > 1 for spec, _ in draw_specs(space))


def test_a_condition_holds_for_widths_by_layer_too():
    space = SearchSpace(
        {
            "optimizer": ["adam", "sgd"],
            "width": Parameter(Range(100, 200), {"optimizer": ("sgd",)}, per_layer=True),
        }
    )
    for spec, _ in draw_specs(space):
        searched = spec.training.optimizer == "sgd"
        assert all((units >= 100) == searched for units in spec.architecture.units)


@pytest.mark.parametrize(
    "depth, width, shape, units",
    [
        (3, 64, "constant", (64, 64, 64)),
        (3, 64, "funnel", (64, 32, 16)),
        (3, 64, "pyramid", (16, 32, 64)),
        (2, 100, "funnel", (100, 25)),
        (1, 64, "funnel", (64,)),
        (1, 64, "pyramid", (64,)),
        (4, 2, "funnel", (2, 2, 1, 1)),
        (3, 1, "pyramid", (1, 1, 1)),
    ],
)
def test_shapes(depth, width, shape, units):
    assert layer_units(depth, width, shape) == units


@given(st.integers(2, 30), st.integers(1, 5000))
def test_a_funnel_narrows_to_a_quarter_and_a_pyramid_is_its_mirror(depth, width):
    funnel = layer_units(depth, width, "funnel")
    assert len(funnel) == depth
    assert funnel[0] == width
    assert funnel[-1] == max(1, round(width / 4))
    assert list(funnel) == sorted(funnel, reverse=True)
    assert layer_units(depth, width, "pyramid") == funnel[::-1]


def test_adamw_decays_by_default_and_others_do_not():
    decay = {
        optimizer: draw_specs(SearchSpace({"optimizer": optimizer}), 1)[0][0].training.weight_decay
        for optimizer in MLP["optimizer"].choices
    }
    assert decay.pop("adamw") == 0.004
    assert set(decay.values()) == {0.0}


def test_adamw_can_be_told_not_to_decay():
    space = SearchSpace({"optimizer": "adamw", "weight_decay": 0.0})
    assert draw_specs(space, 1)[0][0].training.weight_decay == 0.0


def test_adamw_keeps_its_default_decay_where_a_condition_excludes_it():
    space = SearchSpace(
        {
            "optimizer": ["adamw", "sgd"],
            "weight_decay": parameter(Range(0.1, 0.2), optimizer="sgd"),
        }
    )
    decays = [
        s.training.weight_decay for s, _ in draw_specs(space) if s.training.optimizer == "adamw"
    ]
    assert set(decays) == {0.004}


def test_the_same_seed_draws_the_same():
    space = load_space("mlp_full")
    assert draw_specs(space, 5) == draw_specs(space, 5)
    assert len({str(params) for _, params in draw_specs(space, 5)}) == 5


# Random suggestions


@given(st.integers(0, 1000), st.integers(1, 50), st.integers(0, 100), st.booleans())
def test_random_integers_stay_within_bounds(seed, low, span, log):
    value = RandomSuggester(seed).suggest_int("x", low, low + span, step=1, log=log)
    assert isinstance(value, int)
    assert low <= value <= low + span


@pytest.mark.parametrize("log", [False, True])
def test_random_integers_reach_both_ends(log):
    suggester = RandomSuggester(0)
    drawn = {suggester.suggest_int("x", 1, 4, step=1, log=log) for _ in range(200)}
    assert drawn == {1, 2, 3, 4}


def test_random_integers_keep_to_the_steps():
    suggester = RandomSuggester(0)
    drawn = {suggester.suggest_int("x", 1, 9, step=3, log=False) for _ in range(200)}
    assert drawn == {1, 4, 7}


@given(st.integers(0, 1000), st.floats(1e-8, 1e3), st.floats(1, 1e6), st.booleans())
def test_random_floats_stay_within_bounds(seed, low, factor, log):
    value = RandomSuggester(seed).suggest_float("x", low, low * factor, step=None, log=log)
    assert low <= value <= low * factor


def test_random_floats_keep_to_the_steps_and_the_bounds():
    suggester = RandomSuggester(0)
    drawn = {suggester.suggest_float("x", 0.0, 0.3, step=0.1, log=False) for _ in range(200)}
    assert sorted(drawn) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert max(drawn) <= 0.3


@pytest.mark.parametrize(
    "log, share",
    [(False, 0.5), (True, math.log(500.5) / math.log(1000))],
)
def test_log_draws_favour_small_values(log, share):
    suggester = RandomSuggester(0)
    drawn = [suggester.suggest_float("x", 1.0, 1000.0, step=None, log=log) for _ in range(2000)]
    assert sum(x < 500.5 for x in drawn) / 2000 == pytest.approx(share, abs=0.04)


def test_random_choices_reach_all_and_are_kept():
    suggester = RandomSuggester(0)
    drawn = set()
    for _ in range(100):
        drawn.add(suggester.suggest_categorical("x", ["a", "b", "c"]))
        assert suggester.params["x"] in drawn
    assert drawn == {"a", "b", "c"}


# Grids


def grid(task="binary", **parameters):
    points = list(SearchSpace(parameters).grid(task))
    assert len({tuple(sorted(point.items())) for point in points}) == len(points)
    return points


def test_a_grid_has_every_combination():
    points = grid(activation=["relu", "tanh"], batch_size=[16, 32, 64], epochs=Range(1, 3))
    combinations = product(["relu", "tanh"], [16, 32, 64], [1, 2, 3])
    assert {(p["activation"], p["batch_size"], p["epochs"]) for p in points} == set(combinations)
    assert len(points) == 18


def test_a_grid_of_constants_is_one_point():
    assert grid(depth=3, epochs=5) == [{}]


@pytest.mark.parametrize(
    "key, domain, levels",
    [
        ("dropout", Range(0.1, 0.5), [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("learning_rate", Range(1e-4, 1.0, log=True), [1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        ("learning_rate", Range(0.01, 0.01), [0.01]),
        ("width", Range(16, 256, log=True), [16, 32, 64, 128, 256]),
        ("width", Range(1, 2, log=True), [1, 2]),
        ("depth", Range(1, 7, step=2), [1, 3, 5, 7]),
        ("depth", Range(1, 8), [1, 2, 3, 4, 5, 6, 7, 8]),
        ("dropout", Range(0.0, 0.5, step=0.25), [0.0, 0.25, 0.5]),
    ],
)
def test_levels_of_a_range(key, domain, levels):
    points = sorted(point[key] for point in grid(**{key: domain}))
    assert points == pytest.approx(levels)
    assert points[0] == domain.low
    assert points[-1] == domain.high


def test_steps_of_a_grid_stay_within_the_range():
    points = [point["dropout"] for point in grid(dropout=Range(0.0, 0.3, step=0.1))]
    assert points == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert points[-1] <= 0.3


def test_conditional_parameters_multiply_only_where_they_have_a_meaning():
    points = grid(
        optimizer=["adam", "sgd", "adagrad"],
        momentum=[0.0, 0.5, 0.9],
        nesterov=[True, False],
        dropout=parameter([0.1, 0.2], optimizer="adam"),
    )
    by_optimizer = {
        name: [p for p in points if p["optimizer"] == name] for name in ("adam", "sgd", "adagrad")
    }
    assert {name: len(found) for name, found in by_optimizer.items()} == {
        "adam": 2,
        "sgd": 6,
        "adagrad": 1,
    }
    assert by_optimizer["adagrad"] == [{"optimizer": "adagrad"}]


def test_a_grid_over_depth_has_widths_by_layer():
    points = grid(depth=Range(0, 2), width=Parameter(Choice([8, 16]), per_layer=True))
    assert sorted(map(len, points)) == [1, 2, 2, 3, 3, 3, 3]


def test_a_grid_leaves_out_what_the_task_has_no_use_for():
    space = {"label_smoothing": [0.0, 0.1], "epochs": [1, 2]}
    assert len(grid("multiclass", **space)) == 4
    assert grid("regression", **space) == [{"epochs": 1}, {"epochs": 2}]


def test_a_grid_of_a_discrete_space_has_whatever_is_drawn():
    space = SearchSpace(
        {
            "depth": Range(0, 2),
            "residual": [True, False],
            "optimizer": ["adam", "sgd"],
            "nesterov": [True, False],
            "l2": parameter([0.0, 0.1], depth=[0, 2]),
        }
    )
    points = {frozenset(point.items()) for point in space.grid("binary")}
    drawn = {frozenset(params.items()) for _, params in draw_specs(space, 500)}
    assert drawn == points


# Properties of a space


@pytest.mark.parametrize(
    "entry, epochs",
    [(None, 20), (7, 7), (Choice([3, 9, 5]), 9), (Range(2, 30), 30)],
)
def test_max_epochs(entry, epochs):
    assert SearchSpace({} if entry is None else {"epochs": entry}).max_epochs == epochs


def test_max_epochs_counts_the_default_of_a_conditional_entry():
    space = SearchSpace(
        {"optimizer": ["adam", "sgd"], "epochs": parameter(Range(5, 10), optimizer="sgd")}
    )
    assert space.max_epochs == max(spec.training.epochs for spec, _ in draw_specs(space)) == 20


@pytest.mark.parametrize(
    "entries, continuous",
    [
        ({"dropout": Range(0.0, 0.5)}, True),
        ({"dropout": Range(0.0, 0.5, step=0.1)}, False),
        ({"dropout": Range(0.5, 0.5)}, False),
        ({"dropout": [0.0, 0.5]}, False),
        ({"depth": Range(1, 100)}, False),
        ({"epochs": 3}, False),
    ],
)
def test_is_continuous(entries, continuous):
    assert SearchSpace(entries).is_continuous is continuous


def test_plain_values_become_parameters():
    space = SearchSpace({"depth": 2, "activation": ("relu", "tanh"), "width": Range(8, 16)})
    assert space.parameters == {
        "depth": Parameter(Constant(2)),
        "activation": Parameter(Choice(["relu", "tanh"])),
        "width": Parameter(Range(8, 16)),
    }
    assert parameter("relu") == Parameter(Constant("relu"))
    assert parameter(0.5, optimizer="sgd", depth=[1, 2]) == Parameter(
        Constant(0.5), {"optimizer": ("sgd",), "depth": (1, 2)}
    )


@pytest.mark.parametrize("name", shipped_spaces())
@pytest.mark.parametrize("task", TASKS)
def test_shipped_spaces_draw_valid_trials(name, task):
    for spec, _ in draw_specs(load_space(name), 20, Problem(task, 4, 3, IMAGE)):
        for key, value in fields(spec).items():
            assert WORDS[key].accepts(value), key


# Mistakes


@pytest.mark.parametrize(
    "entries, key, received, expected",
    [
        ({"widht": 64}, "widht", "unknown parameter", "width"),
        ({"activation": "rulu"}, "activation", "'rulu'", "one of relu"),
        ({"activation": 3}, "activation", "3", "one of relu"),
        ({"residual": 1}, "residual", "1", "true or false"),
        ({"depth": True}, "depth", "True", "a whole number"),
        ({"depth": 2.5}, "depth", "2.5", "a whole number >= 0"),
        ({"depth": -1}, "depth", "-1", ">= 0 and <= 1000"),
        ({"depth": "two"}, "depth", "'two'", "a whole number"),
        ({"width": 0}, "width", "0", ">= 1"),
        ({"dropout": 1.0}, "dropout", "1.0", "a number >= 0 and < 1"),
        ({"learning_rate": 0.0}, "learning_rate", "0.0", "a number > 0"),
        ({"learning_rate": math.nan}, "learning_rate", "nan", "a number > 0"),
        ({"l2": Range(0, math.inf)}, "l2", "inf", "a number >= 0"),
        ({"dropout": Range(0.0, 1.0)}, "dropout", "1.0", "< 1"),
        ({"depth": Range(1.5, 3)}, "depth", "1.5", "a whole number"),
        ({"depth": Range(5, 2)}, "depth", "low 5 > high 2", "low <= high"),
        ({"l2": Range(0.0, 0.1, log=True)}, "l2", "a log range from 0", "low > 0"),
        ({"width": Range(1, 9, log=True, step=2)}, "width", "both log and step", "one of the two"),
        ({"depth": Range(1, 9, step=0)}, "depth", "step 0", "a whole number > 0"),
        ({"depth": Range(1, 9, step=1.5)}, "depth", "step 1.5", "a whole number > 0"),
        ({"dropout": Range(0, 0.5, step=-0.1)}, "dropout", "step -0.1", "a number > 0"),
        ({"dropout": Range(0, 0.5, step=math.inf)}, "dropout", "step inf", "a number > 0"),
        ({"depth": Range(1, 9, step=math.inf)}, "depth", "step inf", "a whole number > 0"),
        ({"depth": Range(1, 9, step=math.nan)}, "depth", "step nan", "a whole number > 0"),
        ({"depth": 10**400}, "depth", "1000", "a whole number"),
        ({"activation": Range(1, 2)}, "activation", "a range from 1 to 2", "one of relu"),
        ({"residual": Range(0, 1)}, "residual", "a range", "true or false"),
        ({"activation": []}, "activation", "an empty list", "at least one choice"),
        ({"depth": [1, 2, 1]}, "depth", "1 twice", "each choice once"),
        ({"depth": Parameter(Constant(1), per_layer=True)}, "depth", "'per_layer'", "'width' only"),
        (
            {"shape": "funnel", "width": Parameter(Range(1, 9), per_layer=True)},
            "shape",
            "a width per layer",
            "one of the two",
        ),
        (
            {"l2": parameter(0.1, optimiser="sgd")},
            "l2",
            "unknown parameter 'optimiser'",
            "optimizer",
        ),
        ({"l2": parameter(0.1, optimizer="sdg")}, "l2", "optimizer = 'sdg'", "one of adam"),
        (
            {
                "width": Parameter(Range(1, 9), per_layer=True),
                "l2": parameter(0.1, width=4),
            },
            "l2",
            "differs from layer to layer",
            "",
        ),
    ],
)
def test_mistakes_are_named(entries, key, received, expected):
    with pytest.raises(SpaceError) as caught:
        SearchSpace(entries)
    error = caught.value
    assert error.key == key
    assert received in error.received
    assert expected in error.expected
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "entries, word",
    [
        ({"widht": 64}, "width"),
        ({"activation": ["relu", "gleu"]}, "gelu"),
        ({"l2": parameter(0.1, optimiser="sgd")}, "optimizer"),
        ({"l2": parameter(0.1, optimizer="adma")}, "adam"),
    ],
)
def test_the_nearest_word_is_offered(entries, word):
    with pytest.raises(SpaceError, match=f"Did you mean '{word}'"):
        SearchSpace(entries)


def test_an_unknown_network_is_refused():
    with pytest.raises(SpaceError, match=r"network: got 'mpl'; expected one of mlp, cnn\. .*'mlp'"):
        SearchSpace({}, network="mpl")


@pytest.mark.parametrize(
    "entries",
    [
        {"optimizer": "adam", "l2": parameter(0.1, optimizer="sgd")},
        {"optimizer": ["adam", "nadam"], "l2": parameter(0.1, optimizer=["sgd", "rmsprop"])},
        {"l2": parameter(0.1, optimizer="sgd")},
        {"depth": Range(1, 4), "l2": parameter(0.1, depth=5)},
        {"dropout": Range(0.1, 0.2), "l2": parameter(0.1, dropout=0.3)},
        {"depth": Range(1, 7, step=2), "l2": parameter(0.1, depth=2)},
    ],
)
def test_a_condition_that_never_holds_is_refused(entries):
    with pytest.raises(SpaceError, match=r"l2: conditional on .* which never occurs"):
        SearchSpace(entries)


@pytest.mark.parametrize(
    "entries",
    [
        {"optimizer": ["adam", "sgd"], "l2": parameter(0.1, optimizer=["sgd", "rmsprop"])},
        {"depth": Range(1, 4), "l2": parameter(0.1, depth=4)},
        {"depth": Range(1, 7, step=2), "l2": parameter(0.1, depth=5)},
        # The parent has its default wherever it is not searched.
        {
            "optimizer": ["adam", "sgd"],
            "dropout": parameter(Range(0.2, 0.5), optimizer="sgd"),
            "l2": parameter(0.1, dropout=0.0),
        },
        {
            "depth": Range(1, 3),
            "shape": ["funnel", "pyramid"],
            "l2": parameter(0.1, shape="constant"),
        },
        {
            "optimizer": ["adam", "sgd"],
            "momentum": Range(0.5, 0.9),
            "l2": parameter(0.1, momentum=0.0),
        },
    ],
)
def test_a_condition_that_can_hold_is_accepted(entries):
    space = SearchSpace(entries)
    assert any(spec.training.l2 == 0.1 for spec, _ in draw_specs(space, 60))


@pytest.mark.parametrize(
    "entries",
    [
        {"dropout": parameter([0.0, 0.1], dropout=0.1)},
        {"l1": parameter([0.0, 0.1], l2=0.1), "l2": parameter([0.0, 0.1], l1=0.1)},
        {"optimizer": parameter(["adam", "sgd"], momentum=0.0), "momentum": [0.0, 0.9]},
        {"depth": parameter([1, 2], activation="relu")},
    ],
)
def test_cycles_are_refused(entries):
    with pytest.raises(SpaceError, match=r"conditional on itself, by way of .* -> "):
        SearchSpace(entries)


@pytest.mark.parametrize(
    "n_rows, batch_size",
    [(0, 32), (100, 16), (1_023, 16), (1_024, 32), (3_200, 64), (13_000, 256), (10**6, 256)],
)
def test_an_automatic_batch_follows_the_number_of_rows(n_rows, batch_size):
    problem = Problem("binary", 4, 1, n_rows=n_rows)
    [(spec, params)] = draw_specs(SearchSpace({"batch_size": "auto"}), 1, problem)
    assert (spec.training.batch_size, params) == (batch_size, {})


def test_an_automatic_batch_is_one_choice_among_others():
    problem = Problem("binary", 4, 1, n_rows=4_000)
    space = SearchSpace({"batch_size": Choice(["auto", 16, "full"])})
    pairs = draw_specs(space, problem=problem)
    assert {spec.training.batch_size for spec, _ in pairs} == {64, 16, 0}
    for spec, params in pairs:
        assert params_of(space, spec) == params
    assert changed_spec(pairs[0][0], {"batch_size": -1}).training.batch_size == 64
