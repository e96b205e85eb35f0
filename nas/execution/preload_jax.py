"""Imported by the server from which processes are forked that train dense networks."""

from nas.execution.preload import loading

with loading():
    import nas.engines.compiled_engine
    import nas.engines.selection  # noqa: F401
