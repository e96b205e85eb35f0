"""Seeds: one function, and nothing random beside it."""

import ast
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import nas
from nas.seeds import derive_seed

ARGUMENTS = st.tuples(st.text(max_size=5), st.lists(st.integers(-(2**70), 2**70), max_size=4))


def test_a_seed_stays_what_it_is() -> None:
    # Whoever changes these changes the results of every search.
    assert derive_seed("trial", 7, 0) == 1629774519
    assert derive_seed("lane", 2**32 - 1, 4) == 3482782274


def test_neither_a_zero_nor_a_neighbour_nor_a_purpose_is_the_same_seed() -> None:
    words = [("trial",), ("trial", 0), ("trial", 0, 0), ("trial", 7), ("trial", 7, 0), ("lane", 7)]
    words += [("trial", 70), ("trial7",), ("trial", 8), ("trial", 1, 23), ("trial", 12, 3)]
    words += [("trial", -7), ('trial", 7',), ("trial", 7 + 2**32)]
    assert len({derive_seed(*arguments) for arguments in words}) == len(words)


@given(ARGUMENTS, ARGUMENTS)
def test_equal_seeds_have_equal_arguments(a, b) -> None:
    assert 0 <= derive_seed(a[0], *a[1]) < 2**32
    assert (derive_seed(a[0], *a[1]) == derive_seed(b[0], *b[1])) == (a == b)


AS_THEY_WERE = {"data/split.py", "data/variants.py"}  # which say why
# A program hashes a lane's seed with the step, an order its derived seed with the rows' numbers;
# an initializer is given a derived seed.
WITHIN = {"engines/program.py", "engines/lanes.py", "models/initializers.py"}
GENERATORS = {"default_rng", "SeedSequence", "RandomState"}


def makes_a_seed(node: ast.AST) -> bool:
    """Whether it counts with a seed, or seeds a generator with anything but `derive_seed`."""
    if isinstance(node, ast.BinOp):
        return any(re.search(r"seed\b", ast.unparse(side)) for side in (node.left, node.right))
    if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] not in GENERATORS:
        return False
    return not (node.args and ast.unparse(node.args[0]).startswith("derive_seed("))


def test_nothing_else_makes_a_seed() -> None:
    package = Path(nas.__file__).parent
    found = [
        f"{path.relative_to(package)}:{node.lineno}: {ast.unparse(node)}"
        for path in package.rglob("*.py")
        if path.relative_to(package).as_posix() not in AS_THEY_WERE | WITHIN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if makes_a_seed(node)
    ]
    assert found == []
