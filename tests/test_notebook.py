"""nas in a notebook: its progress, its results, its workers, and an interrupted kernel."""

import ast
import asyncio
import inspect
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

import nas

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits.ipynb"

# Of the packages that run a notebook.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    yield tmp_path
    asyncio.set_event_loop(None)


def client_of(notebook: Any, folder: Path) -> NotebookClient:
    return NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )


def shown(cell: Any, kind: str) -> list[str]:
    return [output["data"][kind] for output in cell.outputs if kind in output.get("data", {})]


def test_the_example_is_python_that_names_what_nas_has() -> None:
    notebook = nbformat.read(EXAMPLE, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    (call,) = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call)
               and ast.unparse(n.func) == "nas.search"]  # fmt: skip
    options = inspect.signature(nas.search).parameters
    assert {word.arg for word in call.keywords} <= {*options}
    for name in re.findall(r"\bstudy\.(\w+)", code):
        assert hasattr(nas.Study, name), name


@pytest.mark.long
def test_the_example_runs_and_shows_what_it_found(folder: Path) -> None:
    notebook = nbformat.read(EXAMPLE, as_version=4)
    client_of(notebook, folder).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    searched, best, figure, summary = code
    page = shown(searched, "text/html")[-1]
    assert "digits" in page and "<table" in page
    # One output for the progress, which is changed while the search runs.
    assert sum("12/12 trials" in text for text in shown(searched, "text/plain")) == 1
    printed = "".join(o.get("text", "") for o in searched.outputs if o.output_type == "stream")
    assert printed.startswith("Data    digits: 1,797 rows") and "\x1b" not in printed
    assert "relu" in shown(best, "text/plain")[0]
    assert any("plotly" in kind for output in figure.outputs for kind in output["data"])
    assert "trials examined" in shown(summary, "text/plain")[0]


@pytest.mark.long
def test_an_interrupted_kernel_leaves_a_clean_study(folder: Path) -> None:
    begin = (
        "import nas\n"
        'space = {"depth": nas.Range(1, 2), "width": [8, 16, 24, 32, 40], "epochs": 100000}\n'
        'nas.search(space, data="iris", trials=50, folds=3, workers=1, name="long", pruner="none")'
    )
    look = (
        'study = nas.load("long")\n'
        "print(sorted(set(study.trials.outcome)), len(study.optuna.get_trials(states=[0])))"
    )
    notebook = new_notebook(cells=[new_code_cell(begin), new_code_cell(look)])
    client = client_of(notebook, folder)

    def interrupt() -> None:
        database = folder / "studies" / "nas.db"
        while not database.exists():
            time.sleep(0.2)
        time.sleep(12)  # into the training
        asyncio.run(client.km.interrupt_kernel())

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(CellExecutionError, match="Interrupted"):
        client.execute()
    thread.join()
    with_kernel = new_notebook(cells=[new_code_cell("import nas\n" + look)])
    client_of(with_kernel, folder).execute()
    text = with_kernel.cells[0].outputs[0]["text"]
    assert text == "['interrupted'] 0\n", text
