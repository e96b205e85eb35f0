"""Search spaces in YAML: a way there and back, and messages that name the line."""

import re
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from test_space import spaces

from nas.errors import NasError
from nas.space import (
    Choice,
    Constant,
    Parameter,
    Range,
    SearchSpace,
    dump_space,
    load_space,
    mapping_from_space,
    parse_space,
    shipped_spaces,
    space_from_mapping,
)
from nas.space.vocabulary import words_of

SHIPPED = (
    "cnn",
    "cnn_small",
    "images",
    "mlp_depth",
    "mlp_full",
    "mlp_per_layer",
    "mlp_residual",
    "mlp_small",
    "tabular",
)


@settings(max_examples=100, deadline=None)
@given(spaces())
def test_a_space_survives_yaml(space):
    text = dump_space(space)
    assert parse_space(text, name=space.name, is_stored=True) == space
    assert len(text.splitlines()) >= len(space.parameters) + 1


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_spaces_survive_yaml(name):
    space = load_space(name)
    assert parse_space(dump_space(space), name=name) == space


def test_a_constant_width_by_layer_survives_yaml():
    space = SearchSpace({"width": Parameter(Constant(64), per_layer=True)})
    assert parse_space(dump_space(space)) == space


@pytest.mark.parametrize("text", ["yes", "12", "1.5", "null", "a: b", "#x", "", "ä ö", "- x", "'"])
def test_words_that_yaml_reads_otherwise_are_quoted(text):
    space = SearchSpace({}, data=text, target=text)
    assert parse_space(dump_space(space)) == space


@pytest.mark.parametrize("text", ["\xa0x", "x\xa0", "\u3000", " x "])
def test_spaces_at_the_ends_of_a_word_are_kept(text):
    space = SearchSpace({}, target=text)
    assert parse_space(dump_space(space)) == space


def test_the_dump_is_one_line_an_entry():
    space = SearchSpace(
        {
            "depth": Range(1, 8),
            "width": Range(16, 512, log=True),
            "activation": ["relu", "tanh"],
            "batch_size": 32,
            "momentum": Parameter(Range(0.0, 0.9, step=0.1), {"optimizer": ("adam",)}),
        },
        data="digits",
    )
    with pytest.raises(NasError):
        parse_space("momentum: {low: 0.0, high: 0.9, when: {optimizer: sgd}}")
    assert dump_space(space).splitlines() == [
        "network: mlp",
        "data: digits",
        "depth: {low: 1, high: 8}",
        "width: {low: 16, high: 512, log: true}",
        "activation: [relu, tanh]",
        "batch_size: 32",
        "momentum: {low: 0.0, high: 0.9, step: 0.1, when: {optimizer: adam}}",
    ]


# What the language reads


@pytest.mark.parametrize(
    "text, key, entry",
    [
        ("depth: 3", "depth", Parameter(Constant(3))),
        ("depth: {value: 3}", "depth", Parameter(Constant(3))),
        ("depth: [1, 2]", "depth", Parameter(Choice([1, 2]))),
        ("depth: {choices: [1, 2]}", "depth", Parameter(Choice([1, 2]))),
        ("depth:\n- 1\n- 2", "depth", Parameter(Choice([1, 2]))),
        ("depth: {low: 1, high: 8}", "depth", Parameter(Range(1, 8))),
        ("depth: {low: 1, high: 9, step: 2}", "depth", Parameter(Range(1, 9, step=2))),
        (
            "width: {low: 1, high: 8, log: true, per_layer: true}",
            "width",
            Parameter(Range(1, 8, log=True), per_layer=True),
        ),
        ("residual: true", "residual", Parameter(Constant(True))),
        ("normalization: [null, batch]", "normalization", Parameter(Choice(["none", "batch"]))),
        ("normalization: none", "normalization", Parameter(Constant("none"))),
        ("learning_rate: 1e-4", "learning_rate", Parameter(Constant(1e-4))),
        ("learning_rate: [1e-4, 1E-3]", "learning_rate", Parameter(Choice([1e-4, 1e-3]))),
        ("l2: {low: 1e-4, high: 1e-2}", "l2", Parameter(Range(1e-4, 1e-2))),
        ("epochs: 1e2", "epochs", Parameter(Constant(100))),
        ("epochs: 20.0", "epochs", Parameter(Constant(20))),
    ],
)
def test_forms_of_an_entry(text, key, entry):
    assert parse_space(text).parameters == {key: entry}


def test_a_whole_number_stays_an_int():
    value = parse_space("epochs: 1e2").parameters["epochs"].domain.value
    assert type(value) is int


@pytest.mark.parametrize(
    "when, values",
    [("sgd", ("sgd",)), ("[sgd, rmsprop]", ("sgd", "rmsprop"))],
)
def test_conditions(when, values):
    space = parse_space(
        "optimizer: [adam, sgd, rmsprop]\n"
        f"momentum: {{low: 0, high: 0.9, when: {{optimizer: {when}}}}}"
    )
    assert space.parameters["momentum"] == Parameter(Range(0, 0.9), {"optimizer": values})


def test_conditions_read_numbers_without_a_point():
    space = parse_space("l1: [0, 1e-4]\nl2: {value: 1e-3, when: {l1: 1e-4}}")
    assert space.parameters["l2"].when == {"l1": (1e-4,)}


def test_header():
    space = parse_space("network: mlp\ndata: adult.csv\ntarget: income\n", name="x")
    assert (space.name, space.network, space.data, space.target) == (
        "x",
        "mlp",
        "adult.csv",
        "income",
    )


def test_an_anchor_is_read_where_it_is_named():
    space = parse_space("l1: &r {low: 0, high: 0.5}\nl2: *r")
    assert space.parameters["l1"] == space.parameters["l2"] == Parameter(Range(0, 0.5))


# Files


def test_shipped_names():
    assert tuple(shipped_spaces()) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_space_is_found_with_and_without_its_ending(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = load_space(name)
    assert space.name == name
    assert space.parameters
    assert load_space(f"{name}.yaml") == space
    assert load_space(shipped_spaces()[name]) == space


def test_a_file_goes_before_the_shipped_space_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlp_small.yaml").write_text("depth: 7")
    assert load_space("mlp_small.yaml").parameters == {"depth": Parameter(Constant(7))}


def test_a_file_names_its_space(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("depth: 1")
    assert load_space(path).name == load_space(str(path)).name == "mine"


def test_a_folder_of_a_shipped_name_is_no_shipped_space(tmp_path):
    with pytest.raises(NasError, match="no such file"):
        load_space(tmp_path / "mlp_small.yaml")


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(NasError) as caught:
        load_space("mlp_dpth.yaml")
    assert caught.value.where == "mlp_dpth.yaml"
    assert "no such file" in caught.value.received
    assert all(name in caught.value.expected for name in SHIPPED)
    assert caught.value.fix == "Did you mean 'mlp_depth'?"


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(NasError, match="is a folder; expected a YAML file"):
        load_space(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"depth: \xff\xfe\xff")
    with pytest.raises(NasError, match=r"x\.yaml: cannot be read"):
        load_space(path)


@pytest.mark.parametrize("name, network", [("mlp_full", "mlp"), ("cnn", "cnn")])
def test_the_full_spaces_name_every_word_in_its_order(name, network):
    space = load_space(name)
    assert space.network == network
    assert ["layers", *space.parameters] == list(words_of(network))


def test_the_depth_space_is_the_documented_one():
    assert load_space("mlp_depth") == SearchSpace(
        {
            "depth": Range(1, 8),
            "width": Range(16, 512, log=True),
            "activation": ["relu", "gelu", "tanh", "sigmoid"],
            "optimizer": ["adam", "sgd", "rmsprop"],
            "learning_rate": Range(1e-4, 1e-1, log=True),
            "momentum": Parameter(Range(0.0, 0.99), {"optimizer": ("sgd",)}),
            "l2": Range(1e-7, 1e-2, log=True),
            "dropout": Range(0.0, 0.5),
            "batch_size": 32,
            "epochs": 20,
        },
        name="mlp_depth",
        data="digits",
    )


# Mistakes

MISTAKES = {
    "unknown key": ("widht: 3", "widht", "unknown parameter", "width", "width"),
    "unknown choice": ("activation: [relu, gleu]", "activation", "'gleu'", "one of relu", "gelu"),
    "wrong constant": ("optimizer: adan", "optimizer", "'adan'", "one of adam", "adam"),
    "text for a number": ("depth: deep", "depth", "'deep'", "a whole number >= 0", ""),
    "fraction for a whole": ("depth: 1.5", "depth", "1.5", "a whole number", ""),
    "bool for a number": ("depth: yes", "depth", "True", "a whole number", ""),
    "number for a bool": ("residual: 1", "residual", "1", "true or false", ""),
    "out of bounds": ("dropout: 1.0", "dropout", "1.0", "a number >= 0 and < 1", ""),
    "not finite": ("l2: .nan", "l2", "nan", "a number >= 0", ""),
    "null": ("depth:", "depth", "None", "a whole number", ""),
    "low above high": (
        "depth: {low: 8, high: 1}",
        "depth",
        "low 8 > high 1",
        "low <= high",
        "Swap",
    ),
    "log from 0": (
        "l2: {low: 0, high: 0.1, log: true}",
        "l2",
        "a log range from 0",
        "low > 0",
        "1.0e-6",
    ),
    "log and step": (
        "width: {low: 1, high: 9, log: true, step: 2}",
        "width",
        "both log and step",
        "one of the two",
        "",
    ),
    "step of 0": ("depth: {low: 1, high: 9, step: 0}", "depth", "step 0", "a whole number > 0", ""),
    "step of a half": ("depth: {low: 1, high: 9, step: 0.5}", "depth", "step 0.5", "whole", ""),
    "step of infinity": ("depth: {low: 1, high: 9, step: .inf}", "depth", "step inf", "whole", ""),
    "step that is a word": ("l2: {low: 0, high: 1, step: x}", "l2", "step 'x'", "a number", ""),
    "low that is a word": ("l2: {low: x, high: 1}", "l2", "low 'x'", "a number", ""),
    "log that is a word": ("l2: {low: 1, high: 1, log: x}", "l2", "log 'x'", "true or false", ""),
    "no high": ("depth: {low: 1}", "depth", "without 'high'", "both low and high", ""),
    "no low": ("depth: {high: 1, log: true}", "depth", "without 'low'", "both low and high", ""),
    "range of words": ("activation: {low: 1, high: 2}", "activation", "a range", "one of relu", ""),
    "unknown part": ("depth: {lo: 1, high: 3}", "depth", "'lo'", "low, high", "low"),
    "part twice": ("depth: {low: 1, low: 2, high: 3}", "depth", "'low' given twice", "once", ""),
    "range and choices": (
        "depth: {low: 1, high: 3, choices: [1]}",
        "depth",
        "low and high together with choices",
        "one of low and high, choices, or value",
        "",
    ),
    "value and choices": (
        "depth: {value: 1, choices: [1]}",
        "depth",
        "together with",
        "one of",
        "",
    ),
    "neither": ("depth: {when: {l2: 0}}", "depth", "neither a range nor values", "one of", ""),
    "empty entry": ("depth: {}", "depth", "neither a range nor values", "one of", ""),
    "no choices": ("depth: []", "depth", "an empty list", "at least one choice", ""),
    "choice twice": ("depth: [1, 2, 1]", "depth", "1 twice", "each choice once", ""),
    "choices no list": ("depth: {choices: 3}", "depth", "choices 3", "a list", ""),
    "list in a list": ("depth: [[1]]", "depth", "[1]", "a whole number", ""),
    "per_layer elsewhere": (
        "l2: {low: 0, high: 1, per_layer: true}",
        "l2",
        "'per_layer'",
        "'width' only",
        "",
    ),
    "per_layer with shape": (
        "shape: funnel # line 4\nwidth: {low: 1, high: 9, per_layer: true}",
        "shape",
        "given together with a width per layer",
        "one of the two",
        "Remove",
    ),
    "condition on nothing known": (
        "l2: {value: 1, when: {optimiser: sgd}}",
        "l2",
        "unknown parameter 'optimiser'",
        "optimizer",
        "optimizer",
    ),
    "condition on an unknown choice": (
        "l2: {value: 1, when: {optimizer: sdg}}",
        "l2",
        "optimizer = 'sdg'",
        "one of adam",
        "sgd",
    ),
    "condition that never holds": (
        "l2: {value: 1, when: {optimizer: sgd}}",
        "l2",
        "optimizer = 'sgd', which never occurs",
        "",
        "Add the value to 'optimizer', or remove 'l2'",
    ),
    "condition no mapping": ("l2: {value: 1, when: sgd}", "l2", "'when' is not", "when: {", ""),
    "condition no value": (
        "l2: {value: 1, when: {epochs: {a: b}}}",
        "l2",
        "{'a': 'b'}",
        "a whole number",
        "",
    ),
    "condition twice": (
        "l2: {value: 1, when: {epochs: 20, epochs: 3}}",
        "l2",
        "'epochs' given twice",
        "",
        "",
    ),
    "cycle": (
        "l1: {value: 1, when: {l2: 1}}\nl2: {value: 1, when: {l1: 1}}",
        "l1",
        "conditional on itself, by way of l1 -> l2 -> l1",
        "",
        "",
    ),
    "implicit cycle": (
        "optimizer: {choices: [adam, sgd], when: {momentum: 0.0}}\nmomentum: [0.0, 0.9]",
        "optimizer",
        "conditional on itself, by way of optimizer -> momentum -> optimizer",
        "",
        "",
    ),
    "key twice": ("l2: 1\nl2: 1", "l2", "given twice, first in line 4", "each key once", ""),
    "header no word": ("data: [digits]", "data", "['digits']", "a word", ""),
    "unknown network": ("network: rnn", "network", "'rnn'", "one of mlp, cnn", ""),
    "tag": ("depth: !foo 3", "depth", "", "", ""),
    "wrong tag": ("depth: !!int abc", "depth", "abc", "", ""),
    "no day of the calendar": ("data: 2024-13-45", "data", "", "", ""),
    **{
        f"tag {text}": (f"depth: {text}", "depth", "cannot be read", "a plain value", "")
        for text in (
            "!!timestamp z",
            "!!bool x",
            "!!float ''",
            "!!int",
            "!!int ''",
            "!!binary é",
            "!!omap x",
            "!!python/name:os.system x",
        )
    },
    "digits": (f"depth: 0x{'f' * 5000}", "depth", "cannot be read", "a plain value", ""),
    "list for a key": ("? [depth]\n: 1", "(a list or mapping)", "unknown parameter", "", ""),
    "learning rate beyond": ("learning_rate: 1e20", "learning_rate", "1e+20", "<= 1e+15", ""),
    "width beyond": (f"width: 1{'0' * 400}", "width", "got 1", ">= 1 and <= 1e+15", ""),
    "condition beyond": ("l2: {value: 1, when: {epochs: 1e20}}", "l2", "= 1000", "<= 1e+15", ""),
    "step beyond": (
        f"width: {{low: 1, high: 2, step: 1{'0' * 400}}}",
        "width",
        "step",
        "<= 1e+15",
        "",
    ),
    "whole step": (
        "depth: {low: 1, high: 9, step: 3}",
        "depth",
        "step 3 from 1, which misses high 9",
        "high 7 or 10",
        "",
    ),
    "decimal step": (
        "dropout: {low: 0, high: 1.0e-1, step: 0.03}",
        "dropout",
        "misses high 0.1",
        "high 0.09 or 0.12",
        "",
    ),
    "step beyond the bounds": (
        "dropout: {low: 0, high: 0.95, step: 0.3}",
        "dropout",
        "misses high 0.95",
        "high 0.9",
        "",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_name_file_line_and_key(case, tmp_path):
    text, key, received, expected, fix = MISTAKES[case]
    path = tmp_path / "x.yaml"
    path.write_text(f"# A comment\n\nbatch_size: 32\n{text}\n")
    with pytest.raises(NasError) as caught:
        load_space(path)
    error = caught.value
    line = 5 if case == "key twice" else 4
    assert error.where == f"{path}:{line}: {key}"
    assert received in error.received
    assert expected in error.expected
    assert fix in error.fix
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text, network, others",
    [
        ("network: cnn\nblock: 3", "cnn", "mlp"),
        ("block: 3\nnetwork: cnn", "cnn", "mlp"),
        ("widht: 3", "mlp", "cnn"),
    ],
)
def test_an_unknown_word_gets_those_of_its_network(text, network, others):
    with pytest.raises(NasError) as caught:
        parse_space(text)
    listed = caught.value.expected.removeprefix("one of ").split(", ")
    assert listed == ["network", "data", "target", "first", *words_of(network)]
    assert caught.value.fix in ("Did you mean 'blocks'?", "Did you mean 'width'?")


def test_an_unknown_network_is_named_before_unknown_words():
    with pytest.raises(NasError, match=r"space:2: network: got 'cnnn'.*Did you mean 'cnn'"):
        parse_space("block: 3\nnetwork: cnnn")


@pytest.mark.parametrize("key", ["drop", "trials", "folds", "max_rows", "max-rows"])
def test_an_option_of_the_command_is_named_as_such(key):
    option = key.replace("_", "-")
    with pytest.raises(NasError) as caught:
        parse_space(f"depth: 2\n{key}: 5")
    line = caught.value.on_command_line
    assert line.endswith(f"It is an option of nas search: --{option}.")
    assert str(caught.value).endswith(f": {option.replace('-', '_')}.")


@pytest.mark.parametrize(
    "text, where, received",
    [
        ("", "f.yaml", "the file is empty"),
        ("# a comment only\n", "f.yaml", "the file is empty"),
        ("- depth\n- width\n", "f.yaml:1", "not a mapping"),
        ("\n\ndepth\n", "f.yaml:3", "not a mapping"),
        ("depth: 1\nwidth: [1, 2\n", "f.yaml:3", "not valid YAML"),
        ("depth: 1\n  width: 2\n", "f.yaml:2", "not valid YAML"),
        ("depth: 1\n\twidth: 2\n", "f.yaml:2", "not valid YAML"),
        ("depth: \0", "f.yaml", "not valid YAML"),
        ("depth: 1\n---\ndepth: 2\n", "f.yaml:2", "not valid YAML"),
        ("depth: 1\nwidth: " + "[" * 250, "f.yaml:2", "nested too deep"),
        ("width: [" + "1, " * 10_001 + "]", "f.yaml:1", "too many values"),
        ("activation: &a [*a]\n", "f.yaml:1", "*a stands within itself"),
    ],
)
def test_texts_that_are_no_space(text, where, received):
    with pytest.raises(NasError) as caught:
        parse_space(text, where="f.yaml")
    assert caught.value.where == where
    assert received in caught.value.received
    assert re.fullmatch(r"[^\n]+", str(caught.value))


def test_a_few_aliases_do_not_take_seconds() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 9)]
    started = time.process_time()
    with pytest.raises(NasError, match=r"space:[1-9]: too many values"):
        parse_space("\n".join([*lines, "depth: *a8"]))
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("step, high", [(0.1, 0.7), (0.1, 0.3), (0.05, 0.5), (1, 9), (2, 9)])
def test_steps_that_meet_the_end_are_right_whatever_their_rounding(step, high):
    word = "depth" if isinstance(step, int) else "dropout"
    low = 1 if word == "depth" else 0.0
    text = f"{word}: {{low: {low}, high: {high}, step: {step}}}"
    domain = parse_space(text).parameters[word].domain
    assert domain == Range(low, high, step=step)


def test_the_space_of_a_study_is_read_whatever_its_steps():
    text = "depth: {low: 1, high: 9, step: 3}"
    assert parse_space(text, is_stored=True).parameters["depth"].domain.high == 9


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("# comment\n" * 110_000)
    with pytest.raises(NasError, match="too large; expected a YAML file of 1,000,000 characters"):
        load_space(path)


FIRST = """depth: {low: 1, high: 4}
optimizer: [adam, sgd]
batch_size: [32, full]
epochs: 9
first:
  - {depth: 2, optimizer: sgd, batch_size: full}
  - depth: 4
"""


def test_first_settings_are_read_and_written():
    space = parse_space(FIRST)
    assert space.first == ({"depth": 2, "optimizer": "sgd", "batch_size": 0}, {"depth": 4})
    assert "batch_size: full}" in dump_space(space)
    assert parse_space(dump_space(space)) == space
    assert space_from_mapping(mapping_from_space(space)) == replace(space, name="space")
    assert parse_space(FIRST.partition("first")[0]) != space


@pytest.mark.parametrize(
    "first, message",
    [
        ("3", "first: got 3; expected a list of mappings such as '- {depth: 2, width: 64}'"),
        ("[3]", "first: got 3; expected a list"),
        ("[{depth: 2, depth: 3}]", "first: setting 1 has 'depth' twice"),
        ("[{depth: 2}, {dept: 3}]", "setting 2 has dept: 3, which is not searched.*mean 'depth'"),
        ("[{epochs: 9}]", "setting 1 has epochs: 9, which is not searched"),
        ("[{depth: 5}]", "setting 1 has depth: 5, which is not among its values"),
        ("[{depth: 2.5}]", "which is not among its values; expected a whole number from 1 to 4"),
        ("[{batch_size: 64}]", "batch_size: 64, which is not among .* expected one of 32, full"),
        ("[{width_1: 8}]", "width_1: 8, which is not searched; expected one of depth, optimizer"),
        ("[{optimizer: nadam}]", "setting 1 has optimizer: 'nadam', which is not among its values"),
    ],
)
def test_first_settings_that_cannot_be(first, message):
    text = FIRST.partition("first")[0] + f"first: {first}"
    with pytest.raises(NasError, match=message) as caught:
        parse_space(text)
    assert "space:5: first" in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{low: 1, high: 4, prior: 5}", "depth: got prior 5; expected a whole number from 1 to 4"),
        ("{low: 1, high: 4, prior: 2.5}", "depth: got prior 2.5; expected a whole number"),
        ("{low: 1, high: 4, prior: much}", "depth: got prior 'much'; expected a number"),
        ("{choices: [1, 2], prior: 1}", "got low and high together with choices"),
        ("{low: 1, high: 4, prio: 2}", "got 'prio'.* Did you mean 'prior'"),
    ],
)
def test_priors_that_cannot_be(entry, message):
    with pytest.raises(NasError, match=message):
        parse_space(f"depth: {entry}")


def test_a_prior_is_read_and_written():
    space = parse_space("learning_rate: {low: 1e-4, high: 1e-1, log: true, prior: 1e-3}")
    assert space.parameters["learning_rate"].domain == Range(1e-4, 1e-1, log=True, prior=1e-3)
    assert parse_space(dump_space(space)) == space
    assert space_from_mapping(mapping_from_space(space)) == replace(space, name="space")
    # A space without it is another space, whose study cannot be continued with this one.
    assert parse_space(dump_space(space).replace(", prior: 0.001", "")) != space
