"""Names of studies: they name files, too, and are typed in commands."""

from nas.errors import NasError, visible

MAX_BYTES = 200  # of a file's 255, with an ending and what a half-written file has before it


def check_study_name(name: str) -> None:
    """Raises a `NasError` for a name that a new study cannot have."""
    if not name.strip():
        raise NasError("--study", "got an empty name", "a name such as 'mine'")
    if visible(name) != name:
        raise NasError("--study", f"got '{name}'", "a name without control characters")
    if "/" in name or name.startswith((".", "-")):
        raise NasError(
            "--study", f"got '{name}'", "a name without a slash or leading dot or hyphen"
        )
    length = len(name.encode())
    if length > MAX_BYTES:
        raise NasError(
            "--study", f"got a name of {length} bytes", f"{MAX_BYTES} at most", "Shorten it."
        )
