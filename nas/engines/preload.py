"""What the server imports from which worker processes are forked: see `workers`.

Imports only: TensorFlow must not have begun anything when it is forked.
"""

import atexit
import os

from nas.engines.startup import silence

with silence():
    import nas.engines.selection  # noqa: F401

# The server has nothing to put away, and to unload TensorFlow takes a second and a half, in which
# whoever reads the command's output through a pipe would wait.
atexit.register(os._exit, 0)
