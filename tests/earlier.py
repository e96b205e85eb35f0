"""A study as nas 0.1 left it, by the first version that there was."""

import json
from pathlib import Path

import optuna
from fakes import url_of
from optuna.distributions import json_to_distribution
from optuna.trial import TrialState, create_trial

from nas.study.storage import open_storage

# Its process was killed twice; the second time the trial had begun, and was trained again.
EARLIER = Path(__file__).parent / "saved_earlier" / "study.json"


def write_earlier(folder: Path) -> optuna.Study:
    kept = json.loads(EARLIER.read_text(encoding="utf-8"))
    study = optuna.create_study(
        study_name="first",
        storage=open_storage(url_of(folder), create=True),
        direction="maximize",
    )
    for key, value in kept["user_attrs"].items():
        study.set_user_attr(key, value)
    for trial in kept["trials"]:
        domains = {
            k: json_to_distribution(json.dumps(v)) for k, v in trial["distributions"].items()
        }
        steps = {int(k): v for k, v in trial["intermediate_values"].items()}
        changed = {"distributions": domains, "intermediate_values": steps}
        changed |= {"state": TrialState[trial["state"]]}
        study.add_trial(create_trial(**{**trial, **changed}))
    return study
