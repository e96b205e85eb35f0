"""optuna-dashboard in a real browser, on a real study, while a search writes to it."""

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from fakes import FakeEngine, search_fake, smooth, url_of
from means import missing

from nas.dashboard import publish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("dashboard")
    search_fake(folder, n_trials=8, pruner="none")
    port = free_port()
    command = [sys.executable, "-m", "nas", "dashboard", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--storage", url_of(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None  # it is a pipe
        line = server.stdout.readline()
        assert f"http://127.0.0.1:{port}/dashboard" in line
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/dashboard", folder
    finally:
        # A signal that comes in the middle of an answer ends that answer alone.
        for _ in range(5):
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(4)
                break
        else:
            server.kill()
            raise AssertionError("the server does not end")
        server.stdout.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    if CHROMIUM is None or DRIVER is None:
        missing("Chromium and chromedriver are not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--window-size=1200,1600",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def text_with(browser, wanted: str, seconds: float = 30) -> str:
    text = ""
    for _ in range(int(seconds * 5)):
        text = browser.find_element("tag name", "body").text
        if wanted in text:
            return text
        time.sleep(0.2)
    raise AssertionError(f"no {wanted!r} on the page: {text}")


@pytest.mark.long
def test_the_server_has_the_page_and_the_study(address: tuple[str, Path]) -> None:
    url, _ = address
    with urlopen(url, timeout=30) as page:
        assert b"<html" in page.read().lower()
    with urlopen(url.replace("/dashboard", "/api/studies"), timeout=30) as answer:
        (study,) = json.load(answer)["study_summaries"]
    assert study["study_name"] == "fake" and study["directions"] == ["maximize"]


@pytest.mark.slow
def test_the_study_shows_in_the_browser(browser, address: tuple[str, Path]) -> None:
    url, _ = address
    browser.get(url)
    text_with(browser, "fake")
    browser.get(f"{url}/studies/1")
    text_with(browser, "History")
    text_with(browser, "fake")  # the name comes after the page
    for _ in range(100):  # until the history is drawn
        points = browser.find_elements("css selector", ".scatterlayer .trace .point")
        if points:
            break
        time.sleep(0.2)
    assert points
    browser.get(f"{url}/studies/1/trials?numbers=0")
    text = text_with(browser, "learning_rate")
    assert re.search(r"n_weights|fold_values", text)


@pytest.mark.slow
def test_the_dashboard_and_a_search_do_not_disturb_each_other(
    browser, address: tuple[str, Path]
) -> None:
    url, folder = address
    errors = []

    def slow(spec, fold, seed, epoch):
        time.sleep(0.005)
        return smooth(spec, fold, seed, epoch)

    def search() -> None:
        try:
            search_fake(folder, FakeEngine(slow), n_trials=16, pruner="none")
        except Exception as error:
            errors.append(error)

    worker = threading.Thread(target=search)
    worker.start()
    while worker.is_alive():
        browser.get(f"{url}/studies/1")
        text_with(browser, "History")
    worker.join()
    assert not errors
    browser.get(f"{url}/studies/1/trials?numbers=15")
    text_with(browser, "learning_rate")


def test_it_listens_on_this_machine_only(address: tuple[str, Path]) -> None:
    url, _ = address
    port = int(re.search(r":(\d+)/", url)[1])
    outside = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for host in outside - {"127.0.0.1", "127.0.1.1", "::1"}:
        with socket.socket() as probe:
            probe.settimeout(1)
            assert probe.connect_ex((host, port)) != 0


def test_a_taken_port_is_said(address: tuple[str, Path]) -> None:
    url, folder = address
    port = re.search(r":(\d+)/", url)[1]
    command = [sys.executable, "-m", "nas", "dashboard", "--port", port]
    done = subprocess.run(
        [*command, "--storage", url_of(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"--port: {port} is taken" in done.stderr and done.stderr.count("\n") == 1


def attributes_of(study) -> dict[str, str]:
    found = study._storage.get_study_system_attrs(study._study_id)
    return {key: value for key, value in found.items() if key.startswith("dashboard:")}


def test_figures_and_a_note_are_replaced_not_gathered(tmp_path: Path) -> None:
    from optuna_dashboard import get_note, save_note

    study, _ = search_fake(tmp_path, n_trials=12, pruner="none")
    save_note(study, "My own words.")
    publish(study, url_of(tmp_path))
    first = attributes_of(study)
    figures = {key.split(":")[2] for key in first if key.startswith("dashboard:plot_data:")}
    assert {"nas-depth", "nas-importance", "nas-scores", "nas-pareto"} <= figures
    note = get_note(study)
    assert note.startswith("My own words.") and "12 networks were tried" in note

    save_note(study, note + "\n\nMore of mine.")
    study, _ = search_fake(tmp_path, n_trials=14, pruner="none")
    publish(study, url_of(tmp_path))
    note = get_note(study)
    assert "14 networks were tried" in note and "12 networks" not in note
    assert note.startswith("My own words.") and note.endswith("More of mine.")
    again = attributes_of(study)
    assert {key.split(":")[2] for key in again if "plot_data" in key} == figures
    assert sum(map(len, map(str, again.values()))) < 100_000


def test_a_study_without_a_complete_trial_gets_a_note(tmp_path: Path) -> None:
    from optuna_dashboard import get_note

    study, _ = search_fake(tmp_path, FakeEngine(lambda *_: float("nan")), n_trials=3)
    publish(study, url_of(tmp_path))
    assert "so there is no winner" in get_note(study)


@pytest.mark.slow
def test_the_figures_show_in_the_browser(browser, address: tuple[str, Path]) -> None:
    url, folder = address
    study, _ = search_fake(folder, n_trials=8, pruner="none")
    publish(study, url_of(folder))
    browser.get(f"{url}/studies/1/note")
    text_with(browser, "What mattered most")
    browser.get(f"{url}/studies/1")
    text_with(browser, "score against weights")
