"""What the server imports from which worker processes are forked: see `workers`.

Imports only: TensorFlow must not have begun anything when it is forked.
"""

from nas.engines.startup import silence

with silence():
    import nas.engines.selection  # noqa: F401
