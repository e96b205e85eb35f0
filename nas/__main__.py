"""The `nas` command; `python -m nas` is the same."""

import gc
import sys

from nas import stopping

YOUNG_OBJECTS = 50_000  # after which garbage is collected


def main() -> None:
    """Runs the command line of this process."""
    # Else Python looks through what it has loaded again and again while it loads more.
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        with stopping.on_stop(stopping.stop):
            from nas.cli import main as run

            run()
    except BaseException as error:
        # Imports that a signal breaks off end in errors of any kind.
        if isinstance(error, SystemExit) or not stopping.was_stopped():
            raise
        stopping.say_stopped()
        sys.exit(stopping.exit_code())
    finally:
        stopping.ignore_from_now_on()
        # Else Python looks through all that was loaded as it ends, for up to a second.
        gc.disable()
        gc.freeze()
        exec("")  # else Python ends itself by the signal, where that broke off code in a string


if __name__ == "__main__":
    main()
