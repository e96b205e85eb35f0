"""A report as Markdown with pictures, for a README."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import plotly.graph_objects as go
from plotly.io import write_images

from nas.errors import NasError, first_line, visible
from nas.report.blocks import Block, Code, Picture, Report, Section, Table, Text

WIDTH, SMALL_WIDTH = 820, 380  # pixels, of which PNG files have twice as many
MARGIN = {"l": 8, "r": 16, "t": 40, "b": 8}
SPECIAL = "\\`*_{}[]<>#|&~$"


def render_markdown(report: Report, files: Mapping[str, str]) -> str:
    """The report as GitHub's Markdown.

    Args:
        report: What to say.
        files: Path of each picture by its name, relative to the Markdown file; a picture without
            one is left out, its caption stays.
    """
    facts = " · ".join(f"**{_escaped(value)}** {_escaped(what)}" for value, what in report.facts)
    parts = [f"# {_escaped(report.study)}: search report"]
    parts += [_escaped(sentence) for sentence in report.summary]
    parts.append(facts)
    parts += [_section(section, files) for section in report.sections]
    return "\n\n".join(parts) + "\n"


def write_markdown(report: Report, path: Path) -> Path:
    """Writes Markdown and its pictures, all or nothing; PNG, and SVG for the layers.

    Returns:
        The folder of the pictures, `STEM_files` beside the file.

    Raises:
        NasError: When a file cannot be written, or Kaleido or its browser is missing.
    """
    folder = path.with_name(f"{path.stem}_files")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    pictures = [b for section in report.sections for b in section.blocks if isinstance(b, Picture)]
    try:
        partial.mkdir()
        files = _draw(pictures, partial)
        text = render_markdown(report, {name: f"{folder.name}/{f}" for name, f in files.items()})
        (partial / path.name).write_text(text, encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for file in files.values():
            (partial / file).replace(folder / file)
        (partial / path.name).replace(path)
    except OSError as error:
        raise NasError(str(path), f"cannot be written ({first_line(error, 120)})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _draw(pictures: Sequence[Picture], folder: Path) -> dict[str, str]:
    """Draws all pictures with one browser; returns the files' names."""
    files = {}
    plots: list[go.Figure] = []
    for picture in pictures:
        if isinstance(picture.figure, str):
            files[picture.name] = f"{picture.name}.svg"
            (folder / files[picture.name]).write_text(picture.figure, encoding="utf-8")
            continue
        files[picture.name] = f"{picture.name}.png"
        figure = go.Figure(picture.figure).update_layout(title=None, margin=MARGIN)
        width = SMALL_WIDTH if picture.small else max(WIDTH, picture.min_width)
        plots.append(figure.update_layout(width=width))
    names = [files[p.name] for p in pictures if not isinstance(p.figure, str)]
    try:
        write_images(plots, [folder / name for name in names], scale=2)
    except Exception as error:  # Kaleido raises its own, plotly ValueError, the browser others
        raise NasError(
            "--format md",
            f"the pictures cannot be drawn ({first_line(error, 100)})",
            fix="Install Kaleido and Chrome or Chromium (pip install 'nas[png]'), or write .html.",
        ) from error
    return files


def render_note(report: Report) -> str:
    """The summary alone, for a note on the study."""
    facts = "\n".join(f"- **{_escaped(value)}** {_escaped(what)}" for value, what in report.facts)
    return "\n\n".join([*map(_escaped, report.summary), facts])


def _section(section: Section, files: Mapping[str, str]) -> str:
    parts = [f"## {_escaped(section.title)}"]
    for small, blocks in groupby(section.blocks, lambda b: isinstance(b, Picture) and b.small):
        if small:
            pictures = [_image(b, files, 270) for b in blocks if isinstance(b, Picture)]
            parts.append("\n".join(filter(None, pictures)))
        else:
            parts += [_block(block, files) for block in blocks]
    return "\n\n".join(filter(None, parts))


def _block(block: Block, files: Mapping[str, str]) -> str:
    match block:
        case Text(text):
            return _escaped(text)
        case Code(text):
            longest = max(map(len, re.findall("`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            return f"{fence}\n{visible(text, keep=chr(10))}\n{fence}"
        case Table(columns, rows):
            head, *body = (tuple(map(_escaped, line)) for line in (columns, *rows))
            lines = [head, ("---",) * len(columns), *body]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    image = _image(block, files, 360 if isinstance(block.figure, str) else WIDTH)
    return "\n\n".join(filter(None, (image, f"*{_escaped(block.caption)}*")))


def _image(picture: Picture, files: Mapping[str, str], width: int) -> str:
    if picture.name not in files:
        return ""
    path = quote(files[picture.name])
    return f'<img src="{path}" width="{width}" alt="{picture.name}">'


def _escaped(text: str) -> str:
    for sign in SPECIAL:
        text = text.replace(sign, f"\\{sign}")
    return visible(" ".join(text.split()))
