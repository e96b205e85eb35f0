"""Imported by the server from which processes are forked that need Keras."""

from nas.execution.preload import loading

with loading():
    import nas.engines.keras_engine
    import nas.engines.selection  # noqa: F401
