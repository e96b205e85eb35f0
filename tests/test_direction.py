import json
import math

import optuna

from nas.direction import Direction

UP, DOWN = Direction


def test_the_better_score_has_the_larger_key() -> None:
    assert UP.better(2.0, 1.0) and not UP.better(1.0, 2.0) and not UP.better(1.0, 1.0)
    assert DOWN.better(1.0, 2.0) and not DOWN.better(2.0, 1.0) and not DOWN.better(1.0, 1.0)
    scores = [0.5, math.nan, -1.0, 2.0]
    assert sorted(scores, key=UP.key)[1:] == [-1.0, 0.5, 2.0]
    assert sorted(scores, key=DOWN.key)[1:] == [2.0, 0.5, -1.0]


def test_nan_is_worse_than_any_score() -> None:
    for direction in Direction:
        assert direction.better(-1e300, math.nan) and direction.better(1e300, math.nan)
        assert not direction.better(math.nan, 0.0) and not direction.better(math.nan, math.nan)


def test_it_is_the_string_that_is_stored_and_the_name_that_optuna_has() -> None:
    assert json.dumps(list(Direction)) == '["maximize", "minimize"]'
    assert f"{UP}" == UP == "maximize"
    for direction in Direction:
        study = optuna.create_study(direction=direction)
        assert Direction[study.direction.name] is direction
