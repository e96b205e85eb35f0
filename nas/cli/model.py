"""`nas export` and `nas predict`."""

from pathlib import Path
from typing import Annotated

import typer

from nas import DEFAULT_STORAGE
from nas.cli.output import (
    StorageOption,
    StudyOption,
    say,
    with_interval,
    working,
)
from nas.engines.startup import start_tensorflow


def export(
    output: Annotated[Path, typer.Option(help="The .keras file to write.")],
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    data: Annotated[
        str | None, typer.Option(help="Where the data lies now, if it was moved.")
    ] = None,
) -> None:
    """Train the winner on everything but the test part, test it, and save it.

    The file loads with Keras alone and takes raw data; its card lies beside it as JSON.
    """
    from nas.storage import open_optuna_study, open_storage, storage_errors
    from nas.study import load_study

    record = load_study(study, storage)
    record.best()
    with working("Starting TensorFlow"):
        start_tensorflow()
        from nas.analysis.study_data import study_data
        from nas.engines.keras_engine import KerasEngine
        from nas.export import export_winner
        from nas.model_card import card_path, check_output, winner_entry

        check_output(output, ".keras")
        dataset, split = study_data(record, data)
    with working("Training the winner on all folds together"):
        seed = record.settings["split"]["seed"]
        card = export_winner(record, dataset, split, KerasEngine, output, seed)
    with storage_errors(storage):
        optuna_study = open_optuna_study(open_storage(storage), record.name, storage)
        optuna_study.set_user_attr("winner", winner_entry(card))
    say(f"Saved {output} and its card {card_path(output)}.")
    if card["test_value"] is not None:
        say(
            f"Test {record.metric_title} {with_interval(card['test_value'], card['test_interval'])}"
        )


def predict(
    model: Annotated[Path, typer.Argument(help="A .keras file written by nas.")],
    data: Annotated[
        str, typer.Option(help="Rows to predict for: .csv, .parquet, .npz, or images in a folder.")
    ],
    output: Annotated[Path, typer.Option(help="The .csv file to write.")],
) -> None:
    """Predict for new rows with a saved model."""
    with working("Starting TensorFlow"):
        start_tensorflow()
        from nas.export import predict_file
    count = predict_file(model, data, output, tell=say)
    say(f"Wrote {count:,} predictions to {output}.")
