"""The formats by name and by ending; read without any of their packages."""

from pathlib import Path
from typing import Literal, get_args

from nas.errors import NasError, did_you_mean

Format = Literal["keras", "savedmodel", "onnx", "litert", "openvino", "code"]
ENDINGS: dict[Format, str] = {
    "keras": ".keras",
    "savedmodel": "",
    "onnx": ".onnx",
    "litert": ".tflite",
    "openvino": ".xml",
    "code": ".py",
}
# What to install for them, as extras of nas.
EXTRAS = {"onnx": "onnx", "litert": "litert", "openvino": "openvino"}


def format_of(path: Path, name: str | None) -> Format:
    """The format that is asked for, by name or by the ending of the file.

    Raises:
        NasError: When the name is unknown, or the ending is another format's.
    """
    if name is None:
        by_ending = {ending: key for key, ending in ENDINGS.items() if ending}
        if path.suffix.lower() in by_ending:
            return by_ending[path.suffix.lower()]
        endings = ", ".join(by_ending)
        raise NasError(str(path), f"the ending '{path.suffix}'", f"{endings}, or --format")
    known = get_args(Format)
    if name not in known:
        raise NasError(
            "--format", f"got '{name}'", "one of " + ", ".join(known), did_you_mean(name, known)
        )
    chosen: Format = name  # type: ignore[assignment]
    if path.suffix.lower() != ENDINGS[chosen]:
        wanted = ENDINGS[chosen] or "the name of a folder, without an ending"
        raise NasError(str(path), f"the ending '{path.suffix}' for --format {name}", wanted)
    return chosen
