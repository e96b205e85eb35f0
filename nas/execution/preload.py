"""How a server begins from which worker processes are forked: see `processes`.

Imports only: what it loads must not have begun anything when it is forked.
"""

import atexit
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from nas.engines.startup import silence
from nas.stopping import SIGNALS, TERMINAL_SIGNALS


@contextmanager
def loading() -> Iterator[None]:
    """Around the imports of a server."""
    # Blocked as it was started. Whoever presses Ctrl-C now needs neither it nor its traceback.
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINAL_SIGNALS)
    gc.disable()  # there is no garbage in what is loaded
    with silence():
        yield
    gc.enable()
    # From here on workers are forked from it, and the search decides what they mean. It ends when
    # the search does, and not before: it alone can tell how a worker ended.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # The server has nothing to put away, and to unload TensorFlow takes a second and a half, in
    # which whoever reads the command's output through a pipe would wait.
    atexit.register(os._exit, 0)
