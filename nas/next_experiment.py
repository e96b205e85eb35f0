"""Doing what the analysis of a study proposes: `nas.run`."""

from typing import TYPE_CHECKING, Any

from nas.display import Display
from nas.errors import NasError
from nas.execution.processes import default_workers
from nas.stopping import forget

if TYPE_CHECKING:
    from nas.analysis.experiment import Experiment
    from nas.one_network import Trained
    from nas.results import Study


def run(
    experiment: "Experiment",
    study: "Study | str",
    data: Any = None,
    target: Any = None,
    *,
    workers: int | None = None,
    quiet: bool = False,
) -> "Trained | Study":
    """Does an experiment that `study.diagnose()` or `study.explain()` proposes.

    It has the data, the folds and the seed of the study, and its database.

    Args:
        experiment: What to do.
        study: The study that it is about; a name is that of one in the default database.
        data: The study's data, where it was moved, or was in memory and the study is a loaded one.
        target: Its target, where the data was in memory and the target is no column of it.
        workers: Processes that train, as for `nas.search`.
        quiet: Whether to print nothing.

    Returns:
        A trained network for `nas.TrainAgain`, a new study for `nas.SearchAgain`.

    Raises:
        NasError: When there is nothing to train, or the data or the experiment cannot be used.
    """
    from nas.analysis.experiment import LookAtData, SearchAgain, TrainAgain
    from nas.api import load
    from nas.arguments import check_bounds
    from nas.one_network import train_like
    from nas.one_search import search_prepared
    from nas.preparation import prepare_again, prepare_search, usual_pruner
    from nas.results import Study
    from nas.searching import SearchOptions
    from nas.space import space_from_mapping
    from nas.study_name import check_study_name

    if isinstance(experiment, LookAtData):
        raise NasError("experiment", f"got {experiment}", "one that trains", "Look at the data.")
    if not isinstance(experiment, TrainAgain | SearchAgain):
        raise NasError(
            "experiment",
            f"got {type(experiment).__name__} {repr(experiment)[:60]}",
            "one that study.diagnose() or study.explain() proposes, such as a nas.TrainAgain",
        )
    if isinstance(study, str):
        study = load(study)
    elif not isinstance(study, Study):
        raise NasError("study", f"got {type(study).__name__}", "a nas.Study, or the name of one")
    check_bounds(workers=(workers, 1, None))
    forget()
    display = Display(quiet)
    if not isinstance(experiment, SearchAgain):
        with display.working("Reading the data"):
            known = study.known(data, target)
        return train_like(study, known, experiment.like, experiment.params, display)
    space = space_from_mapping(experiment.space)
    check_study_name(space.name)
    with display.working("Reading the data"):
        before = prepare_again(study.record, study.known(data, target))
        prepared = prepare_search(before, space, experiment.metric)
        settings = prepared.settings()
    options = SearchOptions(
        n_trials=experiment.trials,
        sampler=experiment.sampler,
        pruner=experiment.pruner or usual_pruner(space, prepared.split),
        seed=prepared.split_options.seed,
    )
    n_workers = default_workers() if workers is None else workers
    return search_prepared(
        prepared, settings, options, space.name, study.storage, n_workers, display
    )
