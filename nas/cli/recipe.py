"""Recipes: YAML files that hold the options of a command, and may hold the search space itself.

A recipe is read as a tree of nodes, as spaces are, so that every message can name its line. What it
says becomes the defaults of the command line's own options: the same code checks both, and an
option that is given wins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from typer.core import TyperOption

from nas.errors import NasError, did_you_mean
from nas.space import SearchSpace, load_space, parse_space
from nas.space.nodes import compose_yaml, read_yaml
from nas.space.settings import FILES as FILES_OF_SETTINGS
from nas.space.vocabulary import HEADER_KEYS, LISTS, WORDS
from nas.wording import join_names

NULL = "tag:yaml.org,2002:null"
FILES = ("space", "data", "storage")  # options whose errors name the file rather than the option
NUMBERS = {int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Recipe:
    """A recipe as it is read.

    Attributes:
        path: The file.
        options: What it says, by the option's name with `_`, as the text that a command line has;
            of an option that can be repeated a list of them.
        places: File, line and key of each of them, for messages.
        space: The search space, where the recipe holds it itself.
    """

    path: Path
    options: dict[str, str | list[str]]
    places: dict[str, str]
    space: SearchSpace | None = None


def read_recipe(file: str) -> Recipe:
    """Reads a recipe; which options there are, and what they can be, is checked by `use_recipe`.

    Raises:
        NasError: When there is no such file, it isn't YAML, or its space is wrong.
    """
    path = Path(file)
    name = str(path)
    if not path.exists():
        near = [str(other) for other in path.parent.glob("*.yaml")]
        raise NasError(name, "no such file", "a recipe", did_you_mean(name, near))
    text = read_yaml(path, "a recipe, a YAML file")
    root = compose_yaml(text, name)
    if not isinstance(root, yaml.MappingNode):
        found = "the file is empty" if root is None else "not a mapping"
        raise NasError(name, found, "options of the command, such as 'trials: 100'")
    options: dict[str, str | list[str]] = {}
    places: dict[str, str] = {}
    space = None
    for key_node, node in root.value:
        if not isinstance(key_node, yaml.ScalarNode):
            place = f"{name}:{key_node.start_mark.line + 1}"
            raise NasError(place, "a list or mapping as the name of an option", "a word")
        key = str(key_node.value)
        option = key.replace("-", "_")
        place = f"{name}:{key_node.start_mark.line + 1}: {key}"
        if option in places:
            raise NasError(place, "given twice", "each option once")
        places[option] = place
        if option == "space" and isinstance(node, yaml.MappingNode):
            space = _inline_space(text, node, path)
            options[option] = name
        elif option == "enqueue":
            options[option] = _enqueued(node, path, place)
        else:
            options[option] = _beside(path, option, _text(option, node, place))
    return Recipe(path, options, places, space)


def _enqueued(node: yaml.Node, path: Path, place: str) -> list[str]:
    """What `--enqueue` is given for each item of a list; a mapping is a setting, as in `first`."""
    texts = []
    for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if isinstance(item, yaml.MappingNode):
            pairs = ((_text("", key, place), _text("", value, place)) for key, value in item.value)
            texts.append(",".join(f"{key}={value}" for key, value in pairs))
        else:
            texts.append(_beside(path, "enqueue", _text("", item, place)))
    return texts


def _inline_space(text: str, node: yaml.Node, path: Path) -> SearchSpace:
    start, end = node.start_mark, node.end_mark
    # Where it stands in the file, so that messages name the file's lines.
    alone = "\n" * start.line + " " * start.column + text[start.index : end.index]
    return parse_space(alone, where=str(path), name=path.stem)


def _text(option: str, node: yaml.Node, place: str) -> str:
    """A value as a command line has it: `no` and `1e-3` mean there what they say."""
    wanted = "a value, or a list of them" if option in LISTS else "a single value"
    if isinstance(node, yaml.SequenceNode) and option in LISTS:
        return join_names(_text("", item, place) for item in node.value)
    if not isinstance(node, yaml.ScalarNode):
        found = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
        if option == "space":
            wanted = "a name, a file or a mapping"
        raise NasError(place, f"got {found}", wanted)
    if node.tag == NULL:
        raise NasError(place, "no value", wanted, "Leave the line out for the default.")
    return str(node.value)


def _beside(path: Path, option: str, text: str) -> str:
    """Files of a recipe may lie beside it: data rather in this folder, all others rather there."""
    beside = path.parent / text
    if option == "space" and beside.is_file():
        return str(beside)
    if option == "enqueue" and beside.suffix in FILES_OF_SETTINGS and beside.is_file():
        return str(beside)
    if option == "data" and not Path(text).exists():
        # The name of a known data set may well be that of a folder too.
        is_there = beside.is_dir() if "/" in text else beside.is_file()
        return str(beside) if is_there else text
    return text


def use_recipe(context: typer.Context, recipe: Recipe | None) -> Recipe | None:
    """Makes a recipe's options the defaults of a command line that is being read.

    Raises:
        NasError: When the command has no such option, or an option cannot have such a value.
    """
    if recipe is None:
        return None
    known = {
        parameter.name: parameter
        for parameter in context.command.params
        if isinstance(parameter, TyperOption) and parameter.name != "config"
    }
    for option, text in recipe.options.items():
        place = recipe.places[option]
        if option not in known:
            hint = did_you_mean(option, known)
            if option in (*HEADER_KEYS, *WORDS):
                hint = "A word of the search space goes under 'space:'."
            raise NasError(place, "unknown option", "one of " + ", ".join(known), hint)
        parameter = known[option]
        try:
            parameter.process_value(context, text)
        except typer.BadParameter as error:
            if "; expected " in error.message:  # it says all that there is to say
                raise NasError(place, error.message) from error
            near = did_you_mean(text, map(str, parameter.type_descriptor.choices or ()))
            raise NasError(place, f"got '{text}'", _allowed(parameter), near) from error
    context.default_map = dict(recipe.options)
    context.with_resource(_blaming(context, recipe))
    return recipe


def _allowed(option: TyperOption) -> str:
    """The values that an option can have, in words."""
    described = option.type_descriptor
    if described.choices is not None:
        return "one of " + ", ".join(map(str, described.choices))
    words = NUMBERS.get(described.annotation, "true or false")
    bounds = [
        f"{sign} {x:g}" for sign, x in ((">=", option.min), ("<=", option.max)) if x is not None
    ]
    return f"{words} {' and '.join(bounds)}".rstrip()


@contextmanager
def _blaming(context: typer.Context, recipe: Recipe) -> Iterator[None]:
    """Errors of the command that are about an option of the recipe name its line."""
    try:
        yield
    except NasError as error:
        place = _place(context, recipe, error.where)
        if place is None:
            raise
        raise NasError(place, error.received, error.expected, error.fix) from error
    except typer.BadParameter as error:
        place = _place(context, recipe, error.param_hint)
        if place is None:
            raise
        raise NasError(place, error.message) from error


def _place(context: typer.Context, recipe: Recipe, where: Any) -> str | None:
    """The line of a recipe that an error is about; None where it is about something else."""
    for option, text in recipe.options.items():
        source = context.get_parameter_source(option)
        if source is None or source.name != "DEFAULT_MAP":
            continue
        if where == f"--{option.replace('_', '-')}" or where == str(recipe.path) == text:
            return recipe.places[option]
        if isinstance(text, list):
            continue
        if option in FILES and where in (text, text.removeprefix("sqlite:///")):
            return f"{recipe.places[option]}: {where}"
    return None


def chosen_space(space: str, recipe: Recipe | None) -> SearchSpace:
    """The space of that name or file; a recipe's own one goes by the recipe's file."""
    if recipe is not None and recipe.space is not None and space == recipe.options["space"]:
        return recipe.space
    return load_space(space)


ConfigOption = Annotated[
    Recipe | None,
    typer.Option(
        "--config",
        parser=read_recipe,
        callback=use_recipe,
        is_eager=True,
        metavar="FILE",
        help="A recipe: a YAML file with options of this command and their values, such as "
        "'trials: 50'. An option on the command line overrides it.",
    ),
]
