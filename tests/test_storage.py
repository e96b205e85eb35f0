import sqlite3
from pathlib import Path

import pytest
from fakes import FakeEngine, open_fake_study, search_fake, smooth, url_of

from nas.errors import NasError
from nas.storage import open_storage
from nas.study import load_study


def delete(folder: Path) -> None:
    for path in folder.glob("nas.db*"):
        path.unlink()


def replace_by_another(folder: Path) -> None:
    (folder / "other").mkdir()
    open_fake_study(folder / "other")
    copy = sqlite3.connect(folder / "copy.db")
    with sqlite3.connect(folder / "other" / "nas.db") as other:
        other.backup(copy)
    other.close()
    copy.close()
    delete(folder)
    (folder / "copy.db").replace(folder / "nas.db")


def rename_the_folder(folder: Path) -> None:
    folder.rename(folder.with_name("renamed"))


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (delete, "was deleted or moved"),
        (replace_by_another, "was replaced"),
        (rename_the_folder, "was deleted or moved"),
    ],
)
def test_a_search_ends_when_its_database_is_no_longer_there(
    tmp_path: Path, happens: object, said: str
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()

    def scores(spec: object, fold: int, seed: int, epoch: int) -> float:
        if len(engine.started) == 3 and epoch == 1 and fold == 0:
            happens(folder)
        return smooth(spec, fold, seed, epoch)

    engine = FakeEngine(scores)
    with pytest.raises(NasError) as caught:
        search_fake(folder, engine, n_trials=60)
    assert f"studies/nas.db: {said} while it was in use. Put it back" in str(caught.value)
    assert len(engine.started) < 5
    if happens is replace_by_another:
        assert load_study("fake", url_of(folder)).trials == ()
    else:
        assert not (folder / "nas.db").exists()


def test_a_database_is_used_through_any_number_of_connections(tmp_path: Path) -> None:
    open_fake_study(tmp_path)
    storage = open_storage(url_of(tmp_path))
    for _ in range(3):
        assert len(storage.get_all_studies()) == 1
        storage.engine.dispose()
