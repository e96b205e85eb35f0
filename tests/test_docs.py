"""What the documentation says works."""

import ast
import inspect
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from commands import commands_in, parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_COMMANDS = [page for page in [*PAGES, *sorted((ROOT / "studies").rglob("README.md"))]
                 if commands_in(page.read_text(encoding="utf-8"))]  # fmt: skip

TUTORIALS = ("README.md", "python.md", "own_models.md")
NEEDS_A_STUDY = ("formats.md",)  # tests/formats/test_formats_page.py


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_begins_with_the_two_commands() -> None:
    first = blocks(ROOT / "README.md", "sh")[0]
    assert re.findall(r"^make \w+", first, re.MULTILINE) == ["make search", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "nas search --space mlp_depth.yaml --trials $(TRIALS)" in makefile
    assert re.search(r"^TRIALS \?= 200$", makefile, re.MULTILINE)
    for target in ("search", "test", "test-all", "lint"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_shown_is_understood(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options exist and take such values, whatever it would do."""
    text = page.read_text(encoding="utf-8")
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    if page.name == "recipes.md":  # shows the file that its commands name
        (recipe, *_) = blocks(page, "yaml")
        place = tmp_path / recipe.splitlines()[0].removeprefix("# ")
        (tmp_path / "studies").unlink()
        place.parent.mkdir()
        place.write_text(recipe, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for words in commands_in(text):
        parse(words)


@pytest.mark.long
def test_the_readmes_commands_work_in_their_order(tmp_path: Path, data_dir: Path) -> None:
    lines = (data_dir / "adult.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "adult.csv").write_text("".join(lines[:1501]), encoding="utf-8")
    (tmp_path / "new.csv").write_text("".join([lines[0], *lines[2000:2010]]), encoding="utf-8")
    shown = blocks(ROOT / "README.md", "sh")[1:4]
    usual, using, asking = (block.strip().splitlines() for block in shown)
    assert using.pop() == "nas dashboard"  # serves until it is ended; has tests of its own
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in [*usual, *using, *(line.partition("#")[0].strip() for line in asking)]:
        short = command.replace("--trials 50", "--trials 8 --pruner none --folds 2")
        short = short.replace("--timeout 10m", "--trials 2 --folds 2")
        if "space new" in short:
            short += " --epochs 5"
        if "nas screen" in short:
            short += " --n 8 --sample 8 --folds 2 --workers 1"
        done = subprocess.run(
            short,
            shell=True,
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (tmp_path / "report.html").stat().st_size > 1_000_000
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 11


def test_the_readmes_space_is_the_shipped_one_in_short() -> None:
    from nas.space import load_space, parse_space

    shown = parse_space(blocks(ROOT / "README.md", "yaml")[0]).parameters
    shipped = load_space("mlp_depth").parameters
    assert {key: shipped[key] for key in shown} == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.name in (*TUTORIALS, *NEEDS_A_STUDY):
        return  # one program, which has a test of its own
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_api_page_is_made_from_the_docstrings() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "api_page.py"))["page"]()
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == made, "run `make docs`"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name in TUTORIALS], ids=lambda page: page.name
)
def test_what_the_tutorials_name_exists(page: Path) -> None:
    """Every name of `nas` in them, and every option of its functions."""
    import nas
    from nas.space.vocabulary import WORDS

    calls = []
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "nas":
                assert hasattr(nas, node.attr), node.attr
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("nas."):
                function = getattr(nas, ast.unparse(node.func).removeprefix("nas."))
                known = inspect.signature(function).parameters
                is_open = any(option.kind == option.VAR_KEYWORD for option in known.values())
                # What is open takes parameters of networks, or what a search takes.
                more = inspect.signature(nas.search).parameters if function is nas.nested else WORDS
                words = {*known, *(more if is_open else ())}
                assert {word.arg for word in node.keywords} <= words, ast.unparse(node)
                calls.append(ast.unparse(node))
    assert any(call.startswith("nas.search(") for call in calls)


@pytest.mark.long
def test_the_python_tutorial_runs_as_written(tmp_path: Path, data_dir: Path) -> None:
    lines = (data_dir / "adult.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "adult.csv").write_text("".join(lines[:801]), encoding="utf-8")
    code = "\n".join(blocks(ROOT / "docs" / "python.md", "python"))
    # As few trials as importance takes, of as few epochs as may be.
    short = re.sub(r"(?<!\(space, )trials=\d+", 'trials=6, pruner="none", max_rows=400', code)
    short = short.replace(
        '"mlp_depth"', '{"depth": nas.Range(1, 2), "width": [4, 8, 16], "epochs": 2}'
    )
    # No guard: workers must not run a script again.
    (tmp_path / "tutorial.py").write_text(short, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "tutorial.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("metric: got 'acc' for a binary task; expected one of accuracy, ")
    assert (tmp_path / "report.html").stat().st_size > 1_000_000
    assert {path.name for path in tmp_path.glob("best.*")} == {"best.keras", "best.json", "best.md"}


@pytest.mark.long
def test_the_readmes_python_and_own_models_run(tmp_path: Path, data_dir: Path) -> None:
    lines = (data_dir / "adult.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "adult.csv").write_text("".join(lines[:601]), encoding="utf-8")
    (tmp_path / "new.csv").write_text("".join([lines[0], *lines[2000:2010]]), encoding="utf-8")
    code = "\n".join(blocks(ROOT / "README.md", "python"))
    code = code.replace("trials=50", 'trials=2, folds=2, pruner="none"')
    own = "\n".join(blocks(ROOT / "docs" / "own_models.md", "python"))
    own = own.replace("trials=50", "trials=2, folds=2").replace('"epochs": 30', '"epochs": 2')
    (tmp_path / "readme.py").write_text(code + own, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "readme.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "studies" / "build_model.keras").exists()
