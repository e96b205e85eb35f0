"""Claims by calls where two searches do so in the same moment, step by step."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import optuna
import pytest
from fakes import PROBLEM, SPACE
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from nas.space import RandomSuggester
from nas.spec import TrialSpec
from nas.study.claims import NoPlaceError
from nas.study.claims_by_calls import CallClaims
from nas.study.owner import Lease
from nas.study.write_through import WriteThrough


@pytest.fixture
def database() -> InMemoryStorage:
    storage = InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage)
    return storage


@pytest.fixture
def both(database: InMemoryStorage) -> Iterator[list[CallClaims]]:
    """The claims of two searches."""
    with ExitStack() as stack:
        claims = []
        for _ in range(2):
            lease = Lease()
            storage = stack.enter_context(WriteThrough(database, 0, "s", lease))
            study = optuna.load_study(study_name="s", storage=storage)
            claims.append(CallClaims(study, storage, lease.owner))
        yield claims


def network(seed: int) -> TrialSpec:
    return SPACE.sample(RandomSuggester(seed), PROBLEM)


def before(claims: CallClaims, call: str, does: Callable[[], Any]) -> None:
    """Has something happen once, right before that call of a search reaches the storage."""
    database = claims._storage._database

    class Beside:
        def __getattr__(self, name: str) -> Any:
            if name == call:
                claims._storage._database = database
                does()
            return getattr(database, name)

    claims._storage._database = Beside()  # type: ignore[assignment]


def outcomes(database: InMemoryStorage) -> list[str | None]:
    return [trial.user_attrs.get("outcome") for trial in database.get_all_trials(0)]


def test_the_earlier_trial_has_the_index(database: InMemoryStorage, both: list[CallClaims]) -> None:
    ours, theirs = both
    before(ours, "create_new_trial", lambda: theirs.begin(0, places=5))
    assert ours.begin(0, places=5) is None
    assert outcomes(database) == [None, "interrupted"]
    assert database.get_trial(1).user_attrs["reason"] == "another search took its index first"
    assert ours.index == 1 and not ours.waiting, "it had no parameters"
    assert ours.begin(1, places=5) == (2, 1)
    assert theirs.begin(1, places=5) is None and theirs.index == 2
    assert len(outcomes(database)) == 3, "what is known to be taken is not tried"


def test_the_earlier_trial_has_the_place(database: InMemoryStorage, both: list[CallClaims]) -> None:
    ours, theirs = both
    before(ours, "create_new_trial", lambda: theirs.begin(0, places=1))
    with pytest.raises(NoPlaceError):
        ours.begin(0, places=1)
    assert outcomes(database) == [None, "interrupted"]
    theirs._withdraw(0, "duplicate", "")
    assert not ours.is_full(1) or not ours.refresh()
    assert ours.begin(0, places=1) == (2, 0)


def interrupted(database: InMemoryStorage, index: int) -> None:
    depth = optuna.distributions.IntDistribution(1, 5)
    database.create_new_trial(
        0,
        create_trial(
            state=TrialState.FAIL,
            params={"depth": 4},
            distributions={"depth": depth},
            user_attrs={"index": index, "outcome": "interrupted"},
        ),
    )


def test_an_interrupted_trial_is_repeated_once(
    database: InMemoryStorage, both: list[CallClaims]
) -> None:
    interrupted(database, 3)
    ours, theirs = both
    before(ours, "create_new_trial", lambda: theirs.begin(-1, places=5))
    assert ours.begin(-1, places=5) is None
    assert outcomes(database) == ["interrupted", None, "duplicate"]
    repeated = database.get_trial(1)
    assert repeated.user_attrs["retry_of"] == {"trial": 0, "index": 3}
    assert repeated.user_attrs["index"] == 3
    assert repeated.system_attrs == {"fixed_params": {"depth": 4}}
    assert database.get_trial(2).user_attrs["reason"] == "same as trial 1"
    assert not ours.waiting
    # The one that repeats it is interrupted before it has a parameter.
    theirs._withdraw(1, "interrupted", "")
    ours.refresh()
    assert ours.waiting and ours.begin(-1, places=5) == (3, 3)
    assert database.get_trial(3).system_attrs == {"fixed_params": {"depth": 4}}


def test_without_a_place_an_interrupted_trial_is_still_to_be_repeated(
    database: InMemoryStorage, both: list[CallClaims]
) -> None:
    interrupted(database, 0)
    ours, theirs = both
    before(ours, "create_new_trial", lambda: theirs.begin(0, {"depth": 1}))
    with pytest.raises(NoPlaceError):
        ours.begin(-1, places=1)
    assert outcomes(database) == ["interrupted", None, "interrupted"]
    assert ours.waiting
    assert ours.begin(-1, places=2) == (3, 1), "its index is another's now"
    assert database.get_trial(3).user_attrs["retry_of"] == {"trial": 2, "index": 0}


def test_one_that_waits_is_ended_by_who_repeats_it(
    database: InMemoryStorage, both: list[CallClaims]
) -> None:
    study = optuna.load_study(study_name="s", storage=database)
    study.enqueue_trial({"depth": 2}, user_attrs={"mark": 1})
    ours, _ = both
    ours.refresh()
    assert ours.n_training == 0 and ours.waiting
    assert ours.begin(-1, places=5) == (1, 0)
    assert outcomes(database) == ["interrupted", None]
    assert database.get_trial(0).user_attrs["reason"] == "trained as trial 1"
    assert database.get_trial(1).user_attrs["mark"] == 1
    assert not ours.waiting


def test_of_two_that_want_a_network_the_later_one_goes_without(
    database: InMemoryStorage, both: list[CallClaims]
) -> None:
    ours, theirs = both
    first, second = (
        claims.trial(claims.begin(index, places=5)[0]) for index, claims in enumerate(both)
    )
    before(theirs, "get_all_trials", lambda: database.set_trial_user_attr(0, "claim", key()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.study.claims_by_calls.time.sleep", lambda _: pytest.fail("it waits"))
        assert theirs.take_network(second, network(1)) == 0
    assert "spec" not in database.get_trial(1).user_attrs
    # The earlier one waits until that is decided.
    ends = []

    def end(_: float) -> None:
        ends.append(theirs._withdraw(1, "duplicate", ""))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.study.claims_by_calls.time.sleep", end)
        assert ours.take_network(first, network(1)) is None
    assert len(ends) == 1
    assert database.get_trial(0).user_attrs["spec"] == network(1).to_dict()


def key() -> str:
    from nas.study.claims import key_of

    return key_of(network(1))


def test_a_later_one_that_has_the_network_keeps_it(
    database: InMemoryStorage, both: list[CallClaims], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = both
    first, second = (
        claims.trial(claims.begin(index, places=5)[0]) for index, claims in enumerate(both)
    )
    before(ours, "set_trial_user_attr", lambda: theirs.take_network(second, network(1)))
    assert ours.take_network(first, network(1)) == 1
    # One that died while it was about to take it has it after a while.
    database.set_trial_user_attr(1, "spec", network(2).to_dict())
    third = theirs.trial(theirs.begin(2, places=5)[0])
    database.set_trial_user_attr(third._trial_id, "claim", key())
    monkeypatch.setattr("nas.study.claims_by_calls.PATIENCE", 0.0)
    assert ours.take_network(first, network(1)) == 2
