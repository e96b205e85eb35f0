import json
from pathlib import Path

import pytest
from fakes import FakeEngine, open_fake_study, search_fake, smooth, url_of

from nas.metrics import METRICS
from nas.spec import TrialSpec
from nas.study.record import load_study
from nas.study.study_list import summarize_studies


def test_a_list_says_what_the_studies_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        if len(spec.architecture.units) == 5 and epoch == 2:
            raise RuntimeError("broken")
        diverges = len(spec.architecture.units) == 4 and epoch == 3
        return float("nan") if diverges else smooth(spec, fold, seed, epoch)

    search_fake(tmp_path, FakeEngine(scores), n_trials=30, stop_after=100)
    search_fake(tmp_path, n_trials=3, name="loss", metric=METRICS["log_loss"])
    open_fake_study(tmp_path, name="empty")
    records = [load_study(name, url_of(tmp_path)) for name in ("fake", "loss", "empty")]
    assert "interrupted" in {trial.outcome for trial in records[0].trials}

    def loads(text: str) -> object:
        assert len(text) < 1000 and "train_loss" not in text
        return json.JSONDecoder().decode(text)

    monkeypatch.setattr("nas.study.optuna_tables.json.loads", loads)
    monkeypatch.setattr("nas.study.record.trial_record", None)
    assert [
        (study.name, study.metric, study.n_trials, study.n_complete, study.best)
        for study in summarize_studies(url_of(tmp_path))
    ] == [
        (
            record.name,
            record.metric,
            len(record.counted),
            len(record.complete),
            record.best().value if record.complete else None,
        )
        for record in records
    ]
