"""`nas export` and `nas predict`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.about import DEFAULT_STORAGE
from nas.arguments import ensemble_of, trial_of
from nas.cli.output import StorageOption, StudyOption, say, working
from nas.cli.own_model import ModelOption, load_function
from nas.engines.startup import start_tensorflow
from nas.wording import counted, score, with_interval


def export(
    output: Annotated[
        Path, typer.Option(help="The file to write: .keras, or that of another --format.")
    ],
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    data: Annotated[
        str | None, typer.Option(help="New place of the data, if it was moved.")
    ] = None,
    model: ModelOption = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="keras, savedmodel, onnx, litert, openvino, or code for a program; what a file "
            r"answers is compared with Keras first. \[default: by the ending, .keras, .onnx, "
            ".tflite, .xml or .py]",
        ),
    ] = None,
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="N|simplest",
            help="Another complete trial, or the one with the fewest weights within one standard "
            r"error of the winner. \[default: the winner]",
        ),
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(
            metavar="folds|N",
            help="Save several networks in one model: the winner's of each fold, or those of the "
            "N best trials (at most 20) that predict best together.",
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Correct the probabilities of a classifier by a temperature."
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help=r"Number of processes that train an ensemble. \[default: the cores]"
        ),
    ] = None,
) -> None:
    """Save the winner, or several networks in one model, for any runtime.

    It was trained on all rows but the test part, and is trained again only where it is not there.

    A .keras file loads with Keras alone and takes raw data. A card is written beside every model,
    as JSON and as a page.
    """
    from nas.api import load
    from nas.formats.endings import ENDINGS, format_of
    from nas.model_card import card_path, check_output, read_card
    from nas.report.card_page import coverage

    found = load(study, storage)
    found.record.best()
    kind_of_file = format_of(output, format)
    check_output(output, ENDINGS[kind_of_file], has_card=kind_of_file != "code")
    build = load_function(model) if model else None
    kind = ensemble_of(ensemble)
    if kind is None and not calibrate:
        with working("Starting TensorFlow"):
            start_tensorflow()
        # It may be saved already, and need no training.
        with working("Writing the winner" if trial is None else "Training the network"):
            found.export(
                output, data, format=kind_of_file, build_model=build, trial=trial_of(trial)
            )
    else:
        message = "Training the networks of the ensemble" if kind else "Training the winner again"
        with working(message) as tell:
            found.export(
                output,
                data,
                format=kind_of_file,
                trial=trial_of(trial),
                ensemble=kind,
                calibrate=calibrate,
                build_model=build,
                workers=workers,
                progress=lambda done, of: tell(f"{message}: {done} of {counted(of, 'trial')}"),
            )
    if kind_of_file == "code":
        say(f"Saved {output}. It builds and trains the winner with Keras and scikit-learn.")
        return
    say(f"Saved {output} and its card {card_path(output)}.")
    card, title = read_card(output) or {}, found.record.metric_title
    if written := card.get("format"):
        say(
            f"Answers like Keras on {counted(written['n_rows'], 'row')}: the largest difference is "
            f"{written['difference']:.1g}."
        )
    if kind is not None:
        _show_ensemble(card, title, _size(output))
    elif card.get("test_value") is not None:
        tested = with_interval(card["test_value"], card["test_interval"])
        say(f"Test {title} {tested}")
    if covered := (card.get("measures") or {}).get("coverage"):
        say(f"{coverage(covered)}.")
    if calibrate:
        _show_calibration(card["calibration"])


def _size(path: Path) -> int:
    """Bytes of a model: of a file, of all files of a folder, or of OpenVINO's two."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    weights = path.with_suffix(".bin")
    has_weights = path.suffix == ".xml" and weights.exists()
    return path.stat().st_size + (weights.stat().st_size if has_weights else 0)


def _show_calibration(told: dict[str, Any]) -> None:
    """How far the probabilities were from the truth, and are now."""
    say(f"Temperature {told['temperature']:.3g}")
    for part, where in (("folds", "Over the folds"), ("test", "On the test part")):
        if part in told:
            before, after = told[part], told[f"{part}_calibrated"]
            say(
                f"{where}: calibration error {before['error']:.4f}, now {after['error']:.4f}; "
                f"log loss {before['log_loss']:.4f}, now {after['log_loss']:.4f}"
            )


def _show_ensemble(card: dict[str, Any], title: str, size: int) -> None:
    """The members of an ensemble, and what they score and cost beside the winner alone."""
    told = card["ensemble"]
    single = told["single"]
    by_trial: dict[int, float] = {}
    for member in told["members"]:
        by_trial[member["trial"]] = by_trial.get(member["trial"], 0.0) + member["share"]
    shares = [f"{trial} ({share:.0%})" for trial, share in by_trial.items()]
    networks = counted(told["n_networks"], "network")
    of = "trial" if len(shares) == 1 else "trials"
    say(f"{networks} of {of} {', '.join(shares)}", "Members")
    if told["kind"] != "folds" and (lost := told["kind"] - told["n_trained"]):
        say(
            f"{lost} of {told['kind']} diverged or failed when trained again, and are left out", " "
        )
    value = score(card["value"], card["stderr"])
    if told["kind"] == "folds":
        say(f"{title} {value} over folds, each of which one network had not seen", " ")
    else:
        alone = score(single["value"], single["stderr"])
        say(f"{title} {value} over folds, each with shares that the others chose;", " ")
        say(f"the winner alone {alone}, which is the best of many", " ")
    if card["test_value"] is not None:
        tested = with_interval(card["test_value"], card["test_interval"])
        beside = ""
        if single["test_value"] is not None:
            beside = f"; the winner alone {score(single['test_value'])}"
        say(f"{tested}{beside}", "Test")
    say(
        f"{card['n_weights']:,} weights, {size / 1e6:.1f} MB; {told['rows_timed']:,} rows in "
        f"{told['seconds']:.2f} s, one network {told['seconds_of_one']:.2f} s",
        "Cost",
    )


def predict(
    model: Annotated[Path, typer.Argument(help="A .keras file written by nas.")],
    data: Annotated[
        str,
        typer.Option(
            help="Rows to predict for: a table, several tables as 'new-*.csv', an .npz file, or "
            "images in a folder."
        ),
    ],
    output: Annotated[Path, typer.Option(help="The .csv file to write.")],
    keep: Annotated[
        bool, typer.Option("--keep", help="Write the columns of the table, too, before the others.")
    ] = False,
) -> None:
    """Predict for new rows with a saved model."""
    with working("Starting TensorFlow"):
        start_tensorflow()
        from nas.saved_model import predict_file
    lines: list[str] = []
    with working("Reading the rows") as tell:
        count = predict_file(
            model,
            data,
            output,
            tell=lines.append,
            keep=keep,
            progress=lambda done, of: tell(f"Predicting: {done:,} of {counted(of, 'row')}"),
        )
    for line in lines:
        say(line)
    say(f"Wrote {count:,} predictions to {output}.")
