"""What a shell completes after Tab."""

import os
import subprocess
import sys
from pathlib import Path

# So that the shell may be named instead of found among the processes.
NAMED = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


def output_of(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nas", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_shell_asks_nas_and_gets_commands_and_options() -> None:
    assert "_NAS_COMPLETE=complete_bash" in output_of("--show-completion", "bash", **NAMED)
    asked = {"_NAS_COMPLETE": "complete_bash", "COMP_WORDS": "nas sea", "COMP_CWORD": "1"}
    assert output_of(**asked).split() == ["search"]
    asked |= {"COMP_WORDS": "nas search --tri", "COMP_CWORD": "2"}
    assert output_of(**asked).split() == ["--trials"]


def test_completion_is_installed(tmp_path: Path) -> None:
    output_of("--install-completion", "bash", HOME=str(tmp_path), **NAMED)
    script = tmp_path / ".bash_completions" / "nas.sh"
    assert "_NAS_COMPLETE" in script.read_text(encoding="utf-8")
    assert str(script) in (tmp_path / ".bashrc").read_text(encoding="utf-8")
