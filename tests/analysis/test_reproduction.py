import shlex

import pytest

from nas.analysis.reproduction import wrap_command

LONG = (
    "nas space new 'my depth.yaml' --depth 1:8 --width 353 --learning-rate 0.0001:0.1:log && "
    "nas search --space 'my depth.yaml' --sampler grid --pruner none --trials 40"
)


@pytest.mark.parametrize("width", [20, 40, 60, 72, 200])
def test_a_wrapped_command_is_the_same_command(width: int) -> None:
    wrapped = wrap_command(LONG, width)
    assert shlex.split(wrapped.replace("\\\n", "")) == shlex.split(LONG)
    for line in wrapped.splitlines()[:-1]:
        assert line.endswith((" \\", " &&"))
        # Only an option and its value are longer.
        assert len(line) <= width or line.count(" --") <= 1


def test_it_is_broken_before_options_and_between_commands() -> None:
    assert wrap_command(LONG, 60).splitlines() == [
        "nas space new 'my depth.yaml' --depth 1:8 --width 353 \\",
        "  --learning-rate 0.0001:0.1:log &&",
        "nas search --space 'my depth.yaml' --sampler grid \\",
        "  --pruner none --trials 40",
    ]


def test_a_short_command_stays_on_its_line() -> None:
    assert wrap_command("nas train --set depth=2", 80) == "nas train --set depth=2"
