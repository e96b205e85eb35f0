"""The line that tells a user what is wrong."""

from nas.errors import NasError


def test_a_sentence_in_a_message_keeps_one_full_stop() -> None:
    reason = NasError("--engine", "compiled cannot train this network", fix="Use auto.")
    error = NasError("mine", f"no complete trial (3 failed): {reason}", fix="Search longer.")
    assert str(error).endswith("this network. Use auto. Search longer.")
    assert str(NasError("depth", "got '0'", "1", "Add one.")) == (
        "depth: got '0'; expected 1. Add one."
    )
