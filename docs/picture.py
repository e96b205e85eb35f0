"""Draws what a terminal shows after some commands, as the SVG in the README.

Usage: picture.py OUTPUT.svg SESSION, where SESSION is a running tmux session.
"""

import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

output, session = Path(sys.argv[1]), sys.argv[2]
screen = subprocess.run(
    ["tmux", "capture-pane", "-e", "-p", "-J", "-S", "-100", "-t", session],
    capture_output=True,
    text=True,
    check=True,
).stdout
lines = [line.rstrip() for line in screen.rstrip().splitlines()]
with Path("/dev/null").open("w") as nowhere:
    console = Console(record=True, width=96, file=nowhere)
    console.print(Text.from_ansi("\n".join(lines)))
svg = console.export_svg(title="nas")
# Without the fonts that it would fetch from elsewhere.
output.write_text(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")
