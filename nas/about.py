"""The version, and where studies are kept: light to import, for everything else."""

__version__ = "0.1.0"

DEFAULT_STORAGE = "sqlite:///studies/nas.db"
