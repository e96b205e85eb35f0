import optuna
import pytest
from reports import finished

from nas.study.record import StudyRecord


@pytest.fixture(scope="session")
def study_and_record(tmp_path_factory: pytest.TempPathFactory) -> tuple[optuna.Study, StudyRecord]:
    return finished(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def record(study_and_record) -> StudyRecord:
    return study_and_record[1]
