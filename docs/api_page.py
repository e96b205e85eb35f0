"""Writes docs/api.md, the reference of `import nas`, from its docstrings.

Usage: api_page.py [OUTPUT]. Nothing is imported: griffe reads the sources.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[1]
HEAD = """\
# API of nas

What `import nas` offers. The [tutorial](python.md) shows it in use. This page is made from the
docstrings by `make docs`.
"""
# The order in which a newcomer meets them.
GROUPS = {
    "Functions": ("search", "train", "screen", "nested", "load", "studies", "run", "describe_data"),
    "Estimators of scikit-learn": ("NASClassifier", "NASRegressor"),
    "Results": ("Study", "Best", "Trained", "Screened", "Nested", "DescribedData"),
    "Experiments that results propose": ("TrainAgain", "SearchAgain", "LookAtData"),
    "Search spaces": ("Range", "Choice", "parameter", "SearchSpace"),
    "Errors": ("NasError", "Interrupted"),
    "Constants": ("DEFAULT_STORAGE", "__version__"),
}
LINE = 88  # a longer signature has a line for each parameter


def page() -> str:
    """The whole page."""
    package = griffe.load("nas", search_paths=[ROOT], docstring_parser="google")
    assert isinstance(package, griffe.Module)
    grouped = [name for names in GROUPS.values() for name in names]
    assert package.exports is not None
    assert sorted(grouped) == sorted(map(str, package.exports)), "GROUPS lists what nas offers"
    parts = [HEAD, contents()]
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        for name in names:
            parts.extend(described(f"nas.{name}", final(package[name])))
    package_docs = "\n".join(parts)
    # Files of docs/ are linked where a docstring names one.
    return re.sub(r"\bdocs/([\w-]+\.md)", r"[docs/\1](\1)", package_docs)


def contents() -> str:
    lines = []
    for title, names in GROUPS.items():
        links = ", ".join(f"[`{name}`](#{anchor(f'nas.{name}')})" for name in names)
        lines.append(f"- {title}: {links}")
    return "\n".join(lines) + "\n"


def anchor(heading: str) -> str:
    """The link that GitHub gives a heading."""
    return heading.lower().replace(".", "")


def final(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found


def described(name: str, thing: griffe.Object, level: int = 3) -> Iterator[str]:
    """A heading, a signature, and the docstring; of a class its public members, too."""
    yield f"{'#' * level} `{name}`\n"
    if isinstance(thing, griffe.Attribute):
        is_property = "property" in thing.labels
        value = f": {thing.annotation}" if is_property else f" = {thing.value}"
        line = f"{name.rpartition('.')[2]}{value}".replace("'", '"')
        yield f"```py\n{line}\n```\n"
    elif isinstance(thing, griffe.Function):
        yield f"```py\n{signature(name, thing)}\n```\n"
    elif isinstance(thing, griffe.Class) and "__init__" in thing.members:
        yield f"```py\n{signature(name, final(thing['__init__']))}\n```\n"
    elif isinstance(thing, griffe.Class) and thing.parameters:
        yield f"```py\n{signature(name, thing)}\n```\n"
    yield from docstring(thing)
    if level == 3 and isinstance(thing.filepath, Path):
        source = thing.filepath.relative_to(ROOT).as_posix()
        yield f"Source: [{source}](../{source})\n"
    if isinstance(thing, griffe.Class):
        for member in thing.members.values():
            is_shown = isinstance(member, griffe.Function) or "property" in member.labels
            if is_shown and member.has_docstring and not member.name.startswith("_"):
                yield from described(f"{thing.name}.{member.name}", final(member), level + 1)


def signature(name: str, thing: griffe.Object) -> str:
    """The signature in one line, or with a line for each parameter if that is too long."""
    assert isinstance(thing, griffe.Function | griffe.Class)
    parameters = []
    for parameter in thing.parameters:
        if parameter.name in ("self", "cls"):
            continue
        keyword = parameter.kind is griffe.ParameterKind.keyword_only
        if keyword and "*" not in parameters:
            parameters.append("*")
        stars = {"variadic positional": "*", "variadic keyword": "**"}
        text = stars.get(parameter.kind.value if parameter.kind else "", "") + parameter.name
        if parameter.annotation is not None:
            text += f": {spelled_out(str(parameter.annotation), thing)}"
        if parameter.default is not None and not text.startswith("*"):
            text += f" = {parameter.default}" if parameter.annotation else f"={parameter.default}"
        parameters.append(text)
    returns = thing.returns if isinstance(thing, griffe.Function) else None
    end = "" if returns in (None, "None") else f" -> {returns}".replace('"', "")
    parameters = [text.replace("'", '"') for text in parameters]
    line = f"{name}({', '.join(parameters)}){end}"
    if len(line) <= LINE:
        return line
    return f"{name}(\n" + "".join(f"    {text},\n" for text in parameters) + f"){end}"


def spelled_out(annotation: str, thing: griffe.Object) -> str:
    """An annotation without quotes, in which names of literals are replaced by their values."""

    def values(name: re.Match[str]) -> str:
        found = thing.module.members.get(name[0])
        if isinstance(found, griffe.Alias) and found.target_path.startswith("nas."):
            found = found.final_target
        value = str(found.value) if isinstance(found, griffe.Attribute) else ""
        return value if value.startswith("Literal") else name[0]

    return re.sub(r"\b[A-Z]\w+", values, annotation.replace('"', ""))


def docstring(thing: griffe.Object) -> Iterator[str]:
    if thing.docstring is None:
        return
    for section in thing.docstring.parsed:
        match section:
            case griffe.DocstringSectionText():
                yield f"{section.value}\n"
            case griffe.DocstringSectionParameters():
                yield entries("Parameters", [(p.name, p.description) for p in section.value])
            case griffe.DocstringSectionAttributes():
                yield entries("Attributes", [(a.name, a.description) for a in section.value])
            case griffe.DocstringSectionRaises():
                yield entries("Raises", [(str(r.annotation), r.description) for r in section.value])
            case griffe.DocstringSectionReturns():
                yield f"**Returns:** {' '.join(r.description for r in section.value)}\n"


def entries(title: str, named: list[tuple[str, str]]) -> str:
    lines = [f"- `{name}`: {' '.join(text.split())}" for name, text in named]
    return f"**{title}**\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "api.md"
    output.write_text(page(), encoding="utf-8")
