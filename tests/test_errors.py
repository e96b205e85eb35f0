"""The line that tells a user what is wrong."""

from nas.errors import OUT_OF_MEMORY, NasError, first_line, in_python, visible


def test_a_sentence_in_a_message_keeps_one_full_stop() -> None:
    reason = NasError("--engine", "compiled cannot train this network", fix="Use auto.")
    error = NasError("mine", f"no complete trial (3 failed): {reason}", fix="Search longer.")
    assert str(error).endswith("this network. Use auto. Search longer.")
    assert str(NasError("depth", "got '0'", "1", "Add one.")) == (
        "depth: got '0'; expected 1. Add one."
    )


def test_memory_is_blamed_for_memory_only() -> None:
    class ResourceExhaustedError(Exception):
        """TensorFlow's, for memory, disks and open files alike."""

    for text in ("OOM when allocating tensor with shape[9]", "Out of memory while trying to"):
        assert first_line(ResourceExhaustedError(text)) == OUT_OF_MEMORY
    assert first_line(MemoryError()) == OUT_OF_MEMORY
    jax = RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")
    assert first_line(jax) == OUT_OF_MEMORY
    for text in ("/cache/x.tmp; No space left on device", "Too many open files"):
        assert first_line(ResourceExhaustedError(text)) == f"ResourceExhaustedError: {text}"


def test_nothing_that_a_terminal_obeys_is_in_a_message() -> None:
    error = NasError("a\x1b[2Jb", "got 'x\x9b\u202ey\udc80\x7f'", "no\r\nline", "Mend\x07it.")
    assert str(error) == (r"a\x1b[2Jb: got 'x\x9b\u202ey\udc80\x7f'; expected no line. Mend\x07it.")
    assert first_line(ValueError("\x1b]0;title\x07")) == r"ValueError: \x1b]0;title\x07"
    assert visible("a\nb\tc", keep="\n") == "a\nb\\tc"
    assert visible("größer → 日本 🙂") == "größer → 日本 🙂"


def test_a_message_shows_the_start_of_what_is_too_long() -> None:
    text = str(NasError("x", "y" * 5000, "z"))
    assert len(text) < 600 and text.endswith("y…; expected z")


def test_texts_name_parameters_as_python_does() -> None:
    told = "--metric balanced_accuracy counts every class; --val-size 0.3, or another --groups."
    expected = "metric balanced_accuracy counts every class; val_size=0.3, or another groups."
    assert in_python(told) == expected
