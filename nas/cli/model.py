"""`nas export` and `nas predict`."""

from pathlib import Path
from typing import Annotated

import typer

from nas.about import DEFAULT_STORAGE
from nas.cli.output import StorageOption, StudyOption, say, working
from nas.cli.own_model import ModelOption, load_function
from nas.engines.startup import start_tensorflow
from nas.wording import with_interval


def export(
    output: Annotated[Path, typer.Option(help="The .keras file to write.")],
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    data: Annotated[
        str | None, typer.Option(help="New place of the data, if it was moved.")
    ] = None,
    model: ModelOption = None,
) -> None:
    """Train the winner on all rows but the test part, test it, and save it.

    The file loads with Keras alone and takes raw data; its card, a JSON file, is written beside it.
    """
    from nas.api import load
    from nas.model_card import card_path, check_output, read_card

    found = load(study, storage)
    found.record.best()
    check_output(output, ".keras")
    build = load_function(model) if model else None
    with working("Starting TensorFlow"):
        start_tensorflow()
    with working("Training the winner on all folds together"):
        found.export(output, data, build_model=build)
    say(f"Saved {output} and its card {card_path(output)}.")
    card = read_card(output) or {}
    if card.get("test_value") is not None:
        tested = with_interval(card["test_value"], card["test_interval"])
        say(f"Test {found.record.metric_title} {tested}")


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
