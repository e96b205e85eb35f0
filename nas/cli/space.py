"""`nas space`: writing, checking and showing search spaces.

The file is long because the command has an option for each word of the language, made from its
table.
"""

import inspect
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nas.cli.output import (
    JsonOption,
    console,
    plain_table,
    print_json,
    say,
    show_params,
)
from nas.errors import NasError, did_you_mean
from nas.files import written_whole
from nas.layers import EXPECTED, parse_layers
from nas.shell import option as shell_option
from nas.space import (
    Choice,
    Constant,
    Parameter,
    RandomSuggester,
    Range,
    SearchSpace,
    SpaceError,
    dump_space,
    load_space,
    parse_space,
    shipped_spaces,
    shown_value,
)
from nas.space.checks import check_steps, nearest_network
from nas.space.vocabulary import WORDS, Value, Word, words_of
from nas.spec import Problem, TrialSpec
from nas.wording import counted

app = typer.Typer(
    help="Write, check and show search spaces.", no_args_is_help=True, rich_markup_mode="rich"
)

IMAGES = {  # shapes of known data sets
    "digits": (8, 8, 1),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
}

SpaceArgument = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped space.")]


@app.command("list")
def list_spaces(as_json: JsonOption = False) -> None:
    """List the spaces that come with nas."""
    spaces = {name: load_space(path) for name, path in shipped_spaces().items()}
    about = {
        name: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for name, path in shipped_spaces().items()
    }
    if as_json:
        print_json(
            [
                {"name": name, "parameters": list(spaces[name].parameters), "about": about[name]}
                for name in spaces
            ]
        )
        return
    table = plain_table("name", "parameters", "about", right=("parameters",))
    for name, space in spaces.items():
        table.add_row(name, str(len(space.parameters)), about[name])
    console.print(table)


@app.command()
def show(
    space: Annotated[
        str,
        typer.Argument(
            help="A YAML file, the name of a shipped space, or a network in the compact notation."
        ),
    ],
    rows: Annotated[
        str | None,
        typer.Option(
            help="Shape of a row, such as 28x28x1 or 64, for the layers of a network. "
            "\\[default: that of the data, or 28x28x1]"
        ),
    ] = None,
    outputs: Annotated[int, typer.Option(min=1, help="Number of units of the output layer.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Show the possible values of each parameter of a space, and its networks layer by layer."""
    is_network = _is_notation(space)
    if is_network:
        the_space = SearchSpace({"layers": space}, name=space, network="cnn")
    else:
        the_space = load_space(space)
    parameters = [
        (key, _describe(key, entry), _condition(key, the_space), WORDS[key].help)
        for key, entry in the_space.parameters.items()
    ]
    shape = _shape(rows) if rows else IMAGES.get(the_space.data or "", (28, 28, 1))
    networks = _networks(the_space, shape, outputs)
    if as_json:
        print_json(
            {
                "name": the_space.name,
                "network": the_space.network,
                "data": the_space.data,
                "target": the_space.target,
                "parameters": {
                    key: {"values": values, "only_with": condition, "about": about}
                    for key, values, condition, about in parameters
                },
                "first": [dict(one) for one in the_space.first],
                "layers": {
                    text: {
                        "layers": [
                            {"name": layer.name, "output_shape": layer.output_shape,
                             "weights": layer.n_weights(spec.in_words.normalization)}
                            for layer in spec.layers
                        ],
                        "weights": spec.n_weights,
                    }
                    for text, spec in networks.items()
                },
            }
        )  # fmt: skip
        return
    if not is_network:
        say(f"{the_space.name}: {the_space.network} on {the_space.data or 'any data'}")
        # The meanings fit beside the values on a wide terminal only.
        columns = ("parameter", "values", "only with", "meaning")[
            : 4 if console.width >= 110 else 3
        ]
        table = plain_table(*columns)
        for row in parameters:
            table.add_row(*row[: len(columns)])
        console.print(table)
    for number, one in enumerate(the_space.first, start=1):
        say(f"{number}. {show_params(dict(one))}", "First" if number == 1 else " ")
    for text, spec in networks.items():
        _show_layers(text, spec, shape)


def _is_notation(text: str) -> bool:
    """Whether it is a network, rather than a space.

    Raises:
        NasError: When it is neither.
    """
    spaces = shipped_spaces()
    if Path(text).exists() or Path(text).suffix in (".yaml", ".yml") or text in spaces:
        return False
    try:
        return bool(parse_layers(text))
    except ValueError as error:
        network, space = nearest_network(text), did_you_mean(text, spaces)
        if network or str(error) != f"got '{text}'":  # it says more than that it is no network
            fix = network or space
            raise NasError(text, f"no such file, and {error}", EXPECTED, fix) from None
        raise NasError(
            text,
            "no such file, and no shipped space of that name",
            f"a YAML file, one of {', '.join(spaces)}, "
            "or a network such as 32c3-mp2-fc32 or vgg11/8",
            space,
        ) from None


def _shape(text: str) -> tuple[int, ...]:
    parts = text.split("x")
    sizes = tuple(int(part) for part in parts if part.isdecimal())
    if len(sizes) != len(parts) or len(sizes) not in (1, 2, 3) or 0 in sizes:
        raise NasError("--rows", f"got '{text}'", "sizes such as 28x28x1, or 64")
    return (*sizes, 1) if len(sizes) == 2 else sizes


def _networks(space: SearchSpace, shape: tuple[int, ...], outputs: int) -> dict[str, TrialSpec]:
    """The networks that a space gives in the compact notation, for rows of this shape."""
    entry = space.parameters.get("layers")
    if entry is None:
        return {}
    domain = entry.domain
    values = domain.values if isinstance(domain, Choice) else (getattr(domain, "value", ""),)
    image = shape if len(shape) == 3 else ()
    problem = Problem("multiclass", math.prod(shape), outputs, image)
    networks = {}
    fixed = {
        key: entry.domain
        for key, entry in space.parameters.items()
        if key in ("normalization", "residual") and isinstance(entry.domain, Constant)
    }
    for text in map(str, values):
        if not image and any(item.kind != "fc" for item in parse_layers(text)):
            raise NasError("--rows", f"got {shape[0]} for '{text}'", "an image such as 28x28x1")
        one = SearchSpace({"layers": text, **fixed}, network="cnn" if image else "mlp")
        networks[text] = one.sample(RandomSuggester(0), problem)
    return networks


def _show_layers(text: str, spec: TrialSpec, shape: tuple[int, ...]) -> None:
    console.print()
    say(f"{text} on rows of {_sizes(shape)}: {spec.n_weights:,} weights")
    table = plain_table("layer", "window", "output", "weights", right=("weights",))
    names = [layer.name for layer in spec.layers]
    for layer in spec.layers:
        window = ""
        if layer.kind in ("convolution", "max_pooling", "average_pooling"):
            window = f"{layer.window} x {layer.window}"
            window += f", stride {layer.stride}" if layer.stride > 1 else ""
        name = layer.name
        if layer.skip is not None:
            name += " + " + (names[layer.skip] if layer.skip >= 0 else "input")
        weights = layer.n_weights(spec.in_words.normalization)
        table.add_row(name, window, _sizes(layer.output_shape), f"{weights:,}" if weights else "")
    console.print(table)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape)


@app.command()
def check(space: SpaceArgument) -> None:
    """Check a space; report errors with file, line and key."""
    the_space = load_space(space)
    searched = sum(not isinstance(e.domain, Constant) for e in the_space.parameters.values())
    constant = len(the_space.parameters) - searched
    say(f"{space}: right. Searched: {counted(searched, 'parameter')}; constant: {constant}.")


def _describe(key: str, entry: Parameter) -> str:
    match entry.domain:
        case Constant(value):
            return _plain(shown_value(key, value))
        case Choice(values):
            text = ", ".join(_plain(shown_value(key, value)) for value in values)
        case Range(low, high, log, step, prior):
            text = f"{low:g} to {high:g}"
            if log:
                text += ", log scale"
            if step is not None:
                text += f", steps of {step:g}"
            if prior is not None:
                text += f", prior {prior:g}"
    return text + (", each layer its own" if entry.per_layer else "")


def _condition(key: str, space: SearchSpace) -> str:
    conditions: dict[str, tuple[Any, ...]] = dict(WORDS[key].used_with)
    conditions.update(space.parameters[key].when)
    texts = [
        f"{other} {' or '.join(_plain(shown_value(other, value)) for value in values)}"
        for other, values in conditions.items()
    ]
    texts += [
        f"{other} {least} or more"
        for other, least in WORDS[key].at_least.items()
        if least > 1 and "layers" not in space.parameters and other in words_of(space.network)
    ]
    return ", ".join(texts)


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _new(
    file: Path,
    force: bool,
    network: str,
    data: str | None,
    target: str | None,
    **given: str | None,
) -> None:
    if file.is_dir():
        raise NasError(str(file), "is a folder", "a file to write")
    if file.exists() and not force:
        raise NasError(str(file), "exists already", fix="Give another name, or --force.")
    if not file.parent.is_dir():
        raise NasError(str(file), f"no folder '{file.parent}'", "a folder that exists")
    if file.suffix not in (".yaml", ".yml"):
        raise NasError(str(file), f"the ending '{file.suffix}'", ".yaml")
    entries = {
        key: parse_option(key, WORDS[key], text) for key, text in given.items() if text is not None
    }
    if not entries:
        raise typer.BadParameter("got no parameter; expected at least one, such as --depth 1:8")
    try:
        space = SearchSpace(entries, name=file.stem, network=network, data=data, target=target)
        check_steps(entries)
    except SpaceError as error:
        option = "--" + error.key.replace("_", "-")
        raise NasError(option, error.received, error.expected, error.fix) from None
    text = dump_space(space)
    if parse_space(text, name=space.name) != space:
        raise RuntimeError(f"a space changed on its way through YAML: {text}")
    with written_whole(file) as partial:
        partial.write_text(text, encoding="utf-8")
    say(f"{file}:")
    console.print(text, end="")
    say(f"Next: nas search {shell_option('space', file)}" + ("" if data else " --data digits"))


def parse_option(key: str, word: Word, text: str) -> Parameter:
    """A parameter from a command line word: `3`, `relu,gelu`, `1:8`, `16:512:log:per_layer`.

    Raises:
        NasError: When it cannot be read.
    """
    option = "--" + key.replace("_", "-")
    if ":" not in text:
        # A comma within an initializer's brackets divides its numbers.
        items = re.split(r",(?![^(]*\))", text)
        values = [_option_value(option, word, item.strip()) for item in items]
        return Parameter(Constant(values[0]) if len(values) == 1 else Choice(values))
    low, high, *flags = text.split(":")
    numbers: dict[str, float] = {}
    for flag in flags:
        name, equals, number = flag.partition("=")
        if equals and name in ("step", "prior"):
            numbers[name] = _option_number(option, number)
        elif flag not in ("log", "per_layer"):
            expected = "log, step=NUMBER, prior=NUMBER or per_layer after low:high"
            raise NasError(option, f"got '{flag}'", expected)
    bounds = (_option_number(option, low), _option_number(option, high))
    return Parameter(Range(*bounds, "log" in flags, **numbers), per_layer="per_layer" in flags)


def _option_value(option: str, word: Word, text: str) -> Value:
    if word.kind not in ("int", "float", "bool"):
        return text
    if word.kind == "bool":
        if text not in ("true", "false"):
            raise NasError(option, f"got '{text}'", "true or false")
        return text == "true"
    if text in word.names:
        return word.names[text]
    return _option_number(option, text)


def _option_number(option: str, text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        raise NasError(option, f"got '{text}'", "a number") from None
    return int(number) if number.is_integer() and "." not in text and "e" not in text else number


def _with_vocabulary_options() -> Any:
    """`_new` with one option for every word of the vocabulary, so that none can be forgotten."""

    def new(**values: Any) -> None:
        _new(**values)

    new.__doc__ = (
        "Write a space. Values: 3, or relu,gelu (choices), or 1:8 (range), "
        "with :log, :step=2, :prior=4 or :per_layer after it."
    )
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            "file",
            keyword,
            annotation=Annotated[Path, typer.Argument(help="The YAML file to write.")],
        ),
        inspect.Parameter(
            "force",
            keyword,
            default=False,
            annotation=Annotated[bool, typer.Option("--force", help="Replace the file.")],
        ),
        inspect.Parameter(
            "network",
            keyword,
            default="mlp",
            annotation=Annotated[Literal["mlp", "cnn"], typer.Option(help="Family of networks.")],
        ),
        inspect.Parameter(
            "data",
            keyword,
            default=None,
            annotation=Annotated[str | None, typer.Option(help="Data set to search by default.")],
        ),
        inspect.Parameter(
            "target",
            keyword,
            default=None,
            annotation=Annotated[str | None, typer.Option(help="Target column of that data.")],
        ),
    ]
    for key, word in WORDS.items():
        limits = ", ".join(word.choices) if word.kind == "str" else word.allowed()
        parameters.append(
            inspect.Parameter(
                key,
                keyword,
                default=None,
                annotation=Annotated[
                    str | None,
                    typer.Option(
                        "--" + key.replace("_", "-"),
                        metavar="VALUES",
                        help=f"{word.help} ({limits})",
                        rich_help_panel=_panel(word),
                    ),
                ],
            )
        )
    new.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    new.__annotations__ = {p.name: p.annotation for p in parameters}
    return new


def _panel(word: Word) -> str:
    if len(word.networks) > 1:
        return "Parameters"
    return "Parameters of network " + word.networks[0]


app.command("new")(_with_vocabulary_options())
