"""`--model`: a function of the user's that builds Keras models."""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import working
from nas.engines.startup import start_tensorflow
from nas.errors import NasError, did_you_mean, first_line

if TYPE_CHECKING:
    from nas.families.custom import CustomSpace

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE.py:FUNCTION",
        help="Your own function that builds a Keras model from an Optuna trial, such as "
        "models.py:build_model or package.module:build_model.",
    ),
]
WANTED = "FILE.py:FUNCTION or package.module:FUNCTION"


def space_of_model(model: str, space: str | None) -> "CustomSpace":
    """The space of a function's networks.

    Args:
        model: Where the function is.
        space: A space whose words of training count; None for none.

    Raises:
        NasError: When there is no such function, or the space has words about layers.
    """
    from nas.families.custom import custom_space
    from nas.space import load_space

    function = load_function(model)
    if space is None:
        return custom_space(function)
    words = load_space(space)
    return custom_space(function, words.parameters, words.name)


def load_function(place: str) -> Any:
    """A function from its place.

    Raises:
        NasError: When there is none, or its module cannot be imported.
    """
    import cloudpickle

    where, _, name = place.rpartition(":")
    if not where or not name.isidentifier():
        raise NasError("--model", f"got '{place}'", WANTED)
    path = Path(where)
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        near = [str(other) for other in path.parent.glob("*.py")]
        raise NasError("--model", f"no file '{where}'", WANTED, did_you_mean(where, near))
    with working("Starting TensorFlow"):  # in silence, before the user's module imports it
        start_tensorflow()
    sys.path.insert(0, str(path.parent.resolve() if is_file else Path.cwd()))
    try:
        module = _imported_file(path) if is_file else import_module(where)
    except Exception as error:  # whatever the user's module does
        raise NasError("--model", f"{where} cannot be imported ({first_line(error)})") from error
    # Workers get the module's functions and classes themselves, wherever they lie.
    cloudpickle.register_pickle_by_value(module)
    function = getattr(module, name, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if callable(value)]
        raise NasError(
            "--model", f"{where} has no function '{name}'", WANTED, did_you_mean(name, functions)
        )
    return function


def _imported_file(path: Path) -> Any:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
