"""`--config`: a recipe does what its options do, and its mistakes are told with file and line."""

import re
import textwrap
from pathlib import Path

import pytest
from cli import TINY, Nas

from nas.cli.commands import load_command
from nas.cli.recipe import read_recipe
from nas.space import load_space

OPTIONS = "--data iris --trials 2 --folds 3 --pruner none --seed 3 --workers 1".split()
RECIPE = "data: iris\ntrials: 2\nfolds: 3\npruner: none\nseed: 3\nworkers: 1\nspace:\n"
RECIPE += textwrap.indent(TINY, "  ")

# For every option a text, and what the command gets.
VALUES = {
    "model": ("models.py:build", "models.py:build"),
    "space": ("tiny.yaml", "tiny.yaml"),
    "trials": ("7", 7),
    "data": ("iris", "iris"),
    "test": ("other.csv", "other.csv"),
    "target": ("yes", "yes"),  # a column, although YAML 1.1 takes it for true
    "task": ("binary", "binary"),
    "drop": ("[id, 'last, first name']", 'id,"last, first name"'),
    "categorical": ("zip, 2024", "zip, 2024"),
    "numeric": ("[age]", "age"),
    "date": ("[born, died]", "born,died"),
    "text": ("review", "review"),
    "target_scaling": ("log", "log"),
    "quantiles": ("[0.1, 0.9]", "0.1,0.9"),
    "header": ("false", False),
    "missing": ("[unknown, -9]", "unknown,-9"),
    "positive": ("no", "no"),
    "scaling": ("symmetric", "symmetric"),
    "image_size": ("32", 32),
    "classes": ("[3, 5]", "3,5"),
    "merge_rare": ("9", 9),
    "max_rows": ("500", 500),
    "label_noise": ("0.1", 0.1),
    "metric": ("auc", "auc"),
    "folds": ("4", 4),
    "nested": ("5", 5),
    "repeats": ("2", 2),
    "groups": ("who", "who"),
    "sample_weight": ("w", "w"),
    "class_weight": ("balanced", "balanced"),
    "time": ("day", "day"),
    "val_size": ("1e-1", 0.1),  # text to YAML 1.1
    "test_size": ("0", 0.0),
    "sampler": ("random", "random"),
    "startup_trials": ("0", 0),
    "pruner": ("none", "none"),
    "confirm": ("3", 3),
    "stop": ("auto", "auto"),
    "seed": ("5", 5),
    "timeout": ("10m", "10m"),
    "max_params": ("1000", 1000),
    "allow_duplicates": ("true", True),
    "enqueue": (
        "[{depth: 2, width: 4}, depth=1, own.yaml]",
        ["depth=2,width=4", "depth=1", "own.yaml"],
    ),
    "warm_start": ("earlier", "earlier"),
    "engine": ("keras", "keras"),
    "device": ("cpu", "cpu"),
    "workers": ("1", 1),
    "study": ("2024-01-01", "2024-01-01"),  # no date
    "storage": ("sqlite:///other.db", "sqlite:///other.db"),
    "tensorboard": ("runs", Path("runs")),
}


def parsed(*arguments: str) -> dict:
    """What the command's function would get."""
    search = load_command("search")
    return search.make_context("search", list(arguments)).params


def recipe(text: str, path: str = "r.yaml") -> str:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    return path


def studied(nas: Nas, study: str) -> list[tuple]:
    trials = nas.right("trials", "--study", study, "--json").json()
    return [(t["params"], t["outcome"], t["fold_values"]) for t in trials]


def test_every_option_may_stand_in_a_recipe(folder: Path) -> None:
    path = recipe("".join(f"{key}: {text}\n" for key, (text, _) in VALUES.items()))
    found = parsed("--config", path)
    assert found.pop("config").path == Path(path)
    found["enqueue"] = [*found["enqueue"]]
    assert found == {key: value for key, (_, value) in VALUES.items()}


def test_keys_have_hyphens_or_underscores(folder: Path) -> None:
    path = recipe("test-size: 0.5\nmax_params: 9\nallow-duplicates: no\n")
    found = parsed("--config", path)
    assert (found["test_size"], found["max_params"]) == (0.5, 9)
    assert found["allow_duplicates"] is False


def test_the_command_line_wins_then_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe("trials: 3\nseed: 3\nstorage: sqlite:///recipe.db\n")
    monkeypatch.setenv("NAS_STORAGE", "sqlite:///environment.db")
    for arguments in (("--config", path, "--seed", "8"), ("--seed", "8", "--config", path)):
        found = parsed(*arguments)
        assert (found["trials"], found["seed"], found["folds"]) == (3, 8, None)
        assert found["storage"] == "sqlite:///environment.db"


def test_a_recipe_is_its_options(nas: Nas, folder: Path) -> None:
    nas.right("search", "--space", "tiny.yaml", "--study", "given", *OPTIONS)
    out = nas.right("search", "--config", recipe(RECIPE, "mine.yaml")).out
    assert "Study   mine in studies/nas.db" in out  # named after the recipe
    assert studied(nas, "mine") == studied(nas, "given")
    # It goes on with what they began.
    nas.right("search", "--config", "mine.yaml", "--study", "given", "--trials", 3)
    assert len(studied(nas, "given")) == 3


def test_an_inline_space_is_the_file(folder: Path) -> None:
    assert read_recipe(recipe(RECIPE)).space.parameters == load_space("tiny.yaml").parameters
    flow = "space: {network: mlp, depth: [1, 2],\n  epochs: 3}\ntrials: 3\n"
    space = read_recipe(recipe(flow, "studies/é.yaml")).space
    assert (space.name, list(space.parameters)) == ("é", ["depth", "epochs"])


def test_spaces_lie_beside_the_recipe_or_here_or_are_shipped(folder: Path) -> None:
    path = recipe("space: tiny.yaml\n", "studies/r.yaml")
    assert parsed("--config", path)["space"] == "tiny.yaml"
    recipe("depth: 3\n", "studies/tiny.yaml")
    assert parsed("--config", path)["space"] == "studies/tiny.yaml"
    assert (
        parsed("--config", recipe("space: mlp_small\n", "studies/r.yaml"))["space"] == "mlp_small"
    )


def test_settings_lie_beside_the_recipe_or_here(folder: Path) -> None:
    path = recipe("enqueue: own.yaml\n", "studies/r.yaml")
    assert [*parsed("--config", path)["enqueue"]] == ["own.yaml"]
    recipe("- depth: 1\n", "studies/own.yaml")
    assert [*parsed("--config", path)["enqueue"]] == ["studies/own.yaml"]


def test_data_lies_here_or_beside_the_recipe(folder: Path) -> None:
    path = recipe("data: t.csv\n", "studies/r.yaml")
    assert parsed("--config", path)["data"] == "t.csv"
    recipe("a,b\n", "studies/t.csv")
    assert parsed("--config", path)["data"] == "studies/t.csv"
    recipe("a,b\n", "t.csv")
    assert parsed("--config", path)["data"] == "t.csv"
    # A folder beside the recipe does not stand in the way of a data set of its name.
    (folder / "studies" / "digits").mkdir()
    assert parsed("--config", recipe("data: digits\n", "studies/r.yaml"))["data"] == "digits"
    path = recipe("data: ./digits\n", "studies/r.yaml")
    assert parsed("--config", path)["data"] == "studies/digits"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["r.yaml: the file is empty"]),
        ("- trials", ["r.yaml: not a mapping", "'trials: 100'"]),
        ("seed: 1\ntrials: [1, 2", ["r.yaml:2: not valid YAML"]),
        ("seed: 1\n\ntrails: 3", ["r.yaml:3: trails: unknown option", "Did you mean 'trials'?"]),
        ("config: r.yaml", ["r.yaml:1: config: unknown option"]),
        ("seed: 1\n? [a, b]\n: 3", ["r.yaml:2: a list or mapping", "expected a word"]),
        ("depth: 3", ["r.yaml:1: depth: unknown option", "goes under 'space:'"]),
        ("max-params: 3\nmax_params: 4", ["r.yaml:2: max_params: given twice"]),
        ("seed:", ["r.yaml:1: seed: no value", "Leave the line out"]),
        ("trials: ten", ["r.yaml:1: trials: got 'ten'; expected a whole number >= 1"]),
        ("trials: 0", ["r.yaml:1: trials: got '0'; expected a whole number >= 1"]),
        ("trials: true", ["r.yaml:1: trials: got 'true'; expected a whole number >= 1"]),
        ("trials: [1, 2]", ["r.yaml:1: trials: got a list; expected a single value"]),
        ("seed: {low: 1}", ["r.yaml:1: seed: got a mapping; expected a single value"]),
        ("test-size: 2", ["r.yaml:1: test-size: got '2'; expected a number >= 0 and <= 0.9"]),
        ("sampler: tpee", ["r.yaml:1: sampler: got 'tpee'", "one of tpe, ", "mean 'tpe'?"]),
        ("allow_duplicates: maybe", ["r.yaml:1: allow_duplicates", "true or false"]),
        ("enqueue: [[depth]]", ["r.yaml:1: enqueue: got a list"]),
        (
            "data: iris\nspace: tiny.yaml\nenqueue: {depth: 3}",
            ["r.yaml:3: enqueue: setting 1 has depth: 3", "a whole number from 1 to 2"],
        ),
        ("data: iris\nenqueue: no.yaml", ["no.yaml: no such file"]),
        ("drop: [a, [b]]", ["r.yaml:1: drop: got a list"]),
        ("space: [mlp]", ["r.yaml:1: space: got a list; expected a name, a file or a mapping"]),
        ("space:\n  depth: 2\n  activatoin: relu", ["r.yaml:3: activatoin", "'activation'?"]),
        ("seed: 1\nspace: {depth: 2,\n  width: x}", ["r.yaml:3: width: got 'x'"]),
        ("seed: 1\nspace: mlp_dept", ["r.yaml:2: space: mlp_dept: no such file", "'mlp_depth'?"]),
        ("space: {depth: 2}", ["r.yaml:1: space: r names no data"]),
        ("space: bad.yaml", ["bad.yaml:1: depht: unknown parameter"]),
        # Told by the command itself.
        ("timeout: soon", ["r.yaml:1: timeout: got 'soon'; expected a time such as 90"]),
        ("data: digit", ["r.yaml:1: data: digit: no such data set", "Did you mean 'digits'?"]),
        ("data: iris\nmetric: acuracy", ["r.yaml:2: metric: got 'acuracy'", "'accuracy'?"]),
        ("data: iris\ntarget: y", ["r.yaml:2: target: got 'y' for iris"]),
        ("study: a/b\ndata: iris", ["r.yaml:1: study: got 'a/b'"]),
        ("data: iris\nstorage: sqlite:///no/x.db", ["r.yaml:2: storage: no/x.db: no folder 'no'"]),
    ],
)
def test_mistakes_name_file_line_and_key(
    nas: Nas, folder: Path, text: str, words: list[str]
) -> None:
    recipe("depht: 2\n", "bad.yaml")
    line = nas.wrong("search", "--config", recipe(text))
    assert all(word in line for word in words), line
    assert not (folder / "studies" / "nas.db").exists()


def test_mistakes_of_the_command_line_are_its_own(nas: Nas, folder: Path) -> None:
    path = recipe("metric: accuracy\ndata: digit\nspace: mlp_dept\n")
    more = ("--space", "tiny.yaml", "--data", "iris")
    assert nas.wrong("search", "--config", path, *more, "--metric", "r2").startswith("--metric: ")
    assert nas.wrong("search", "--config", path, *more, "--data", "irs").startswith("irs: ")
    line = nas.wrong("search", "--config", path, "--trials", "0", code=2)
    assert "--trials" in line and "r.yaml" not in line


def test_a_wrong_value_is_told_even_where_the_command_line_wins(nas: Nas, folder: Path) -> None:
    assert "r.yaml:1: trials" in nas.wrong(
        "search", "--config", recipe("trials: ten"), "--trials", 3
    )


def test_files_that_are_no_recipe(nas: Nas, folder: Path) -> None:
    recipe("trials: 3", "depth.yaml")
    assert "Did you mean 'depth.yaml'?" in nas.wrong("search", "--config", "dept.yaml")
    assert "studies: cannot be read" in nas.wrong(
        "search", "--config", Path(recipe("trials: 3", "studies/r.yaml")).parent
    )
    (folder / "latin.yaml").write_bytes(b"study: \xe9t\xe9")
    assert "latin.yaml: cannot be read" in nas.wrong("search", "--config", "latin.yaml")


@pytest.mark.long
def test_the_documented_recipe_works(nas: Nas, folder: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "recipes.md"
    text = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[0]
    path = text.splitlines()[0].removeprefix("# ")
    recipe(text, path)
    nas.right("search", "--config", path, "--trials", 1, "--workers", 1)
    shown = nas.right("study", "show", "digits_depth", "--json").json()
    assert shown["data"]["source"] == "digits"
    assert shown["split"] == {**shown["split"], "folds": 3, "seed": 7}
    assert "early_stopping: 2" in shown["space"]
