"""The `nas` command. Each module has a group of commands: parse, call one function, print."""

import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from nas import stopping
from nas.about import __version__
from nas.cli.commands import Commands
from nas.errors import OUT_OF_MEMORY, NasError, first_line, visible

INTERRUPTED = 130  # what the library of the command line returns after Ctrl-C

app = typer.Typer(
    name="nas",
    cls=Commands,
    help="Find the network that fits your data: depth, width, activation, learning rate, "
    "regularization and optimizer, cross-validated, with an honest test score.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line; errors become one line on stderr and an exit code."""
    # What libraries warn of is for their developers; what concerns the user, nas says itself.
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    stopping.forget()
    with stopping.on_stop(stopping.stop):
        try:
            code = _run(arguments)
        except (Exception, KeyboardInterrupt):
            # Whatever a signal broke off may end in an error of any kind.
            if not stopping.was_stopped():
                raise
            code = INTERRUPTED
    if code == INTERRUPTED:
        stopping.say_stopped()
        code = stopping.exit_code()
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: Sequence[str] | None) -> object:
    """The exit code of a command line."""
    try:
        return app(args=arguments, prog_name=app.info.name, standalone_mode=False)
    except NasError as error:
        if stopping.was_stopped():
            raise
        print(f"nas: {error.on_command_line}", file=sys.stderr)
    except TyperException as error:
        message = visible(" ".join(error.format_message().split()))
        end = "" if message.endswith((".", "?")) else "."
        print(f"nas: {message}{end} See 'nas --help'.", file=sys.stderr)
        return error.exit_code
    except typer.Abort:
        print("nas: nothing done", file=sys.stderr)
    except MemoryError:
        print(
            f"nas: {OUT_OF_MEMORY}. Use --workers 1, fewer rows with --max-rows, or smaller images "
            "with --image-size.",
            file=sys.stderr,
        )
    except BrokenPipeError:  # the reader, such as 'head', has seen enough
        sys.stderr.close()
        return 0
    except UnicodeEncodeError as error:  # a name of bytes that are no text
        if stopping.was_stopped():
            raise
        print(
            f"nas: {NasError('a name', f'got {error.object!r}', 'text').on_command_line}",
            file=sys.stderr,
        )
    except OSError as error:  # a full disk, a name that is too long, a file that nobody may read
        if stopping.was_stopped():
            raise
        print(f"nas: {_told(error).on_command_line}", file=sys.stderr)
    return 1


def _told(error: OSError) -> NasError:
    return NasError(str(error.filename or "the system"), error.strerror or first_line(error))
