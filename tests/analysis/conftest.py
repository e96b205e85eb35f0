import pytest
from fakes import search_fake

from nas.space import Range, SearchSpace, parameter
from nas.study.record import StudyRecord, study_record

WIDE = SearchSpace(
    {
        "depth": Range(1, 4),
        "width": Range(16, 512, log=True),
        "optimizer": ["adam", "sgd"],
        "learning_rate": Range(1e-4, 1e-1, log=True),
        "momentum": parameter(Range(0.0, 0.9), optimizer="sgd"),
        "dropout": Range(0.0, 0.5),
        "epochs": 9,
    },
    name="wide",
)


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """All 75 networks of the small space, of which two layers are best by construction."""
    study, _ = search_fake(tmp_path_factory.mktemp("effects"), n_trials=75, pruner="none")
    return study_record(study)


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    study, _ = search_fake(
        tmp_path_factory.mktemp("wide"),
        space=WIDE,
        n_trials=120,
        sampler="random",
        pruner="none",
        name="wide",
    )
    return study_record(study)
