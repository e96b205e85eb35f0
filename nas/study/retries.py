"""What becomes of a trial that was interrupted."""

from typing import Any

from optuna.trial import FrozenTrial

from nas.study.attributes import Outcome

FIXED = "fixed_params"  # system attribute of Optuna's for the parameters of a trial that waits
ENQUEUED = "enqueued"  # attribute of a trial that waited with settings that it was given


def end_of_killed(trial: FrozenTrial) -> dict[str, Any]:
    """How a trial of a dead process ended, as attributes."""
    twice = "killed" in trial.user_attrs.get("retry_of", {})
    outcome: Outcome = "failed" if twice else "interrupted"
    reason = "the process ended while it trained" + (", for the second time" * twice)
    return {"outcome": outcome, "reason": reason, "killed": True}


def is_to_be_retried(trial: FrozenTrial) -> bool:
    """Whether an interrupted trial is to be trained again."""
    # Who gave a network may give it again; the search goes its own way.
    return bool(_params(trial)) and "given" not in trial.user_attrs


def retry_of(trial: FrozenTrial) -> tuple[dict[str, Any], dict[str, Any]]:
    """User and system attributes of the trial that waits in its place."""
    attributes = {"trial": trial.number, "index": trial.user_attrs.get("index", trial.number)}
    if trial.user_attrs.get("killed"):
        attributes["killed"] = True
    return {"retry_of": attributes}, {FIXED: _params(trial)}  # as `Study.enqueue_trial` does


def _params(trial: FrozenTrial) -> dict[str, Any]:
    # One that had waited may be interrupted before all of them were written.
    if "retry_of" in trial.user_attrs or ENQUEUED in trial.user_attrs:
        return {**trial.system_attrs.get(FIXED, {}), **trial.params}
    return trial.params
