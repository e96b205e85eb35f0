"""The help, and that it comes without loading what it does not need."""

import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli.commands import COMMANDS, load_command
from nas.space.vocabulary import WORDS

HEAVY = ("tensorflow", "keras", "optuna", "pandas", "sklearn", "plotly", "numpy")
# What only a command's own help or work needs.
OF_COMMANDS = ("nas.space", "nas.spec", "nas.cli.search", "multiprocessing", "yaml")


def commands(group, path=()):
    for name, command in group.items():
        if hasattr(command, "commands"):
            yield from commands(command.commands, (*path, name))
        else:
            yield (*path, name), command


TOP = {name: load_command(name) for name in COMMANDS}
ALL = list(commands(TOP))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_and_option_has_help(path: tuple[str, ...], command) -> None:
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{' '.join(path)}: {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    assert COMMANDS[name].help == TOP[name].help.split("\n\n")[0].replace("\n", " ")


@pytest.mark.parametrize("path", [" ".join(path) for path, _ in ALL])
def test_every_command_is_documented(path: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    assert f"`nas {path}" in text


def test_every_search_option_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    (search,) = [command for path, command in ALL if path == ("search",)]
    for parameter in search.params:
        for option in parameter.opts:
            assert f"`{option}" in text


def test_every_word_of_the_language_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")
    for word in WORDS:
        assert f"| `{word}` |" in text


def test_space_new_has_an_option_for_every_word() -> None:
    (new,) = [command for path, command in ALL if path == ("space", "new")]
    options = {option for parameter in new.params for option in parameter.opts}
    assert {"--" + word.replace("_", "-") for word in WORDS} <= options


@pytest.mark.parametrize("arguments", [["--help"], ["space", "show", "mlp_depth"], ["--version"]])
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(arguments, HEAVY) == "[]"


def loaded_by(arguments: list[str], modules: tuple[str, ...]) -> str:
    script = (
        "import sys\nfrom nas.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {modules!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout
    return done.stderr.strip()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_help_imports_no_command(arguments: list[str]) -> None:
    assert loaded_by(arguments, OF_COMMANDS) == "[]"


def test_help_names_every_command(nas) -> None:
    text = nas.right("--help").out
    for name in ("search", "best", "trials", "importance", "dashboard", "export", "predict"):
        assert name in text


def test_a_misspelt_option_is_one_line_and_exit_code_2(nas) -> None:
    line = nas.wrong("search", "--trails", "3", code=2)
    assert "--trails" in line and "--trials" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--trials", "none"],
        ["search", "--trials", "0"],
        ["search", "--sampler", "magic"],
        ["search", "--folds", "0"],
        ["search", "--timeout", "soon"],
        ["search", "--test-size", "2"],
        ["serach"],
        ["predict"],
        ["space", "new"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(nas, arguments: list[str]) -> None:
    assert nas.wrong(*arguments, code=2)
