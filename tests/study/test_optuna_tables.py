"""Fails where an Optuna has other tables than those that nas reads and writes itself.

Optuna does not promise them. That is why pyproject.toml bounds its version: raise the bound once
this test and tests/study/test_write_behind.py pass with the new one.
"""

import tomllib
from importlib import metadata
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from packaging.requirements import Requirement
from sqlalchemy import MetaData, create_engine

from nas.study import optuna_tables

ROOT = Path(__file__).parents[2]
ADVICE = (
    f"Optuna {optuna.__version__} keeps studies otherwise than nas/study/optuna_tables.py, "
    "nas/study/claims_by_sql.py and nas/study/write_batch.py write them: adapt these, or bound "
    "the version"
)

# Every column: one that is new may need a value.
COLUMNS = {
    "studies": "study_id study_name",
    "study_directions": "study_direction_id direction study_id objective",
    "study_user_attributes": "study_user_attribute_id study_id key value_json",
    "study_system_attributes": "study_system_attribute_id study_id key value_json",
    "trials": "trial_id number study_id state datetime_start datetime_complete",
    "trial_params": "param_id trial_id param_name param_value distribution_json",
    "trial_user_attributes": "trial_user_attribute_id trial_id key value_json",
    "trial_system_attributes": "trial_system_attribute_id trial_id key value_json",
    "trial_intermediate_values": "trial_intermediate_value_id trial_id step intermediate_value "
    "intermediate_value_type",
    "trial_values": "trial_value_id trial_id objective value value_type",
    "trial_heartbeats": "trial_heartbeat_id trial_id heartbeat",
}
WITHOUT_A_STUDY = {"version_info", "alembic_version"}


def test_the_tables_have_the_columns_that_nas_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nas.db"
    storage = RDBStorage(url)
    storage.remove_session()
    storage.engine.dispose()
    engine = create_engine(url)
    made = MetaData()
    made.reflect(engine)
    engine.dispose()
    found = {
        name: {column.name for column in table.columns}
        for name, table in made.tables.items()
        if name not in WITHOUT_A_STUDY
    }
    assert found == {name: set(columns.split()) for name, columns in COLUMNS.items()}, ADVICE


def test_nas_deletes_from_every_table_that_a_study_has() -> None:
    tables = {*optuna_tables.OF_A_STUDY, *optuna_tables.OF_A_TRIAL}
    tables |= {optuna_tables.STUDIES, optuna_tables.TRIALS}
    assert {table.name for table in tables} == COLUMNS.keys(), ADVICE


def test_the_private_names_of_optuna_are_there() -> None:
    value = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(0.5)
    assert value[0] == models.TrialValueModel.value_to_stored_repr(0.5)[0] == 0.5, ADVICE
    study = optuna.create_study()
    assert hasattr(study._thread_local, "cached_all_trials"), ADVICE
    with pytest.raises(KeyError) as caught:
        RDBStorage("sqlite://").get_study_name_from_id(7)
    assert caught.value.args == (optuna_tables.NOT_FOUND_MSG,), ADVICE


def test_a_next_optuna_is_not_installed_before_it_was_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bound,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "optuna"]
    major, minor = map(int, metadata.version("optuna").split(".")[:2])
    assert metadata.version("optuna") in bound.specifier
    assert f"{major}.{minor + 1}.0" not in bound.specifier
    assert f"{major + 1}.0.0" not in bound.specifier
