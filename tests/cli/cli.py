"""Running the command line inside the test process, which has TensorFlow loaded already."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from nas.cli import main

TINY = """\
network: mlp
data: iris
depth: {low: 1, high: 2}
width: [4, 8]
learning_rate: {low: 1.0e-2, high: 1.0e-1, log: true}
optimizer: [adam, sgd]
batch_size: 32
epochs: 4
"""


PROGRESS = (
    "Reading the data",
    "Reading the trials",
    "Getting ready to train",
    "Starting TensorFlow",
    "Reading the rows",
    "Writing the winner",
    "Assessing the parameters",
    "Analysing the study",
)


@dataclass
class Result:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Nas:
    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: object) -> Result:
        """Runs a command line, in the current folder."""
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = self._capfd.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else 0, out, err)

    def right(self, *arguments: object) -> Result:
        """Runs a command line that must work."""
        result = self(*arguments)
        assert result.code == 0, result.err
        return result

    def wrong(self, *arguments: object, code: int = 1) -> str:
        """Runs a command line that must fail, with one line on stderr; returns the line."""
        result = self(*arguments)
        lines = [
            line
            for line in result.err.splitlines()
            if line not in PROGRESS and not line.startswith("Training the winner")
        ]
        assert result.code == code, result
        assert len(lines) == 1 and lines[0].startswith("nas: "), result.err
        assert "Traceback" not in result.err + result.out
        return lines[0].removeprefix("nas: ")
