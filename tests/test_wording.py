"""Numbers and lists of names in sentences and options."""

import pytest

from nas.wording import counted, join_names, split_names


def test_one_is_singular_and_everything_else_plural() -> None:
    assert [counted(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert counted(1200, "complete trial") == "1,200 complete trials"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("a", ("a",)),
        (" a, b c ,,d", ("a", "b c", "d")),
        ('"a,b", c', ("a,b", "c")),
        ('say ""hi""', ('say ""hi""',)),
    ],
)
def test_names_with_commas_between_them(text: str, names: tuple[str, ...]) -> None:
    assert split_names(text) == names
    assert split_names(join_names(names)) == names
