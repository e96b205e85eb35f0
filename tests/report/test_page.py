"""The page in a real browser: every figure drawn, no network, dark mode, a phone's width, print."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import with_settings
from means import missing
from reports import BASELINES, finished, report_on, thousand_trials

from nas.analysis.importance import importance
from nas.errors import NasError
from nas.experiments.baselines import Baseline
from nas.report.blocks import Picture
from nas.report.page import render_page, write_page
from nas.report.sections import make_report
from nas.report.summary import summarize_in_words
from nas.study.record import StudyRecord

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
MARKUP = "<b onload='x'>&</b>"


@pytest.fixture(scope="module")
def page(study_and_record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    study, record = study_and_record
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(make_report(record, importance(study), BASELINES), path)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path


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
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def show(browser, page: Path, width: int = 1100, scheme: str = "light", phone: bool = False) -> int:
    """Opens the page, and returns the number of figures once all are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())
    drawn = WebDriverWait(browser, 60).until(
        lambda b: b.execute_script(
            "return document.documentElement.dataset.drawn"
            " || document.getElementById('trouble').textContent"
        )
    )
    return int(drawn)


def color_of(browser, selector: str, style: str) -> list[int]:
    text = browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]",
        selector,
        style,
    )
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


@pytest.mark.long
def test_every_figure_is_drawn_without_an_error_or_a_request(browser, page: Path, record) -> None:
    browser.get_log("browser"), browser.get_log("performance")
    n_figures = show(browser, page)
    names = browser.execute_script(
        "return [...document.querySelectorAll('[data-figure]')].map(e => e.dataset.figure)"
    )
    assert len(names) == n_figures
    assert {"history", "depth", "importance", "parallel", "loss", "scores", "baselines"} <= set(
        names
    )
    assert {"significance-depth", "slice-learning_rate", "budget", "pareto"} <= set(names)
    empty = browser.execute_script(
        """return [...document.querySelectorAll('[data-figure]')].filter(e =>
        !e.querySelector('svg.main-svg .trace, svg.main-svg .bars')
        ).map(e => e.dataset.figure)"""
    )
    assert empty == []
    points = browser.execute_script(
        "return document.querySelectorAll('[data-figure=history] .point').length"
    )
    assert points == len(record.trials)
    assert browser.execute_script("return document.querySelectorAll('svg.layers rect').length") > 2
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
    requests = [
        message["params"]["request"]["url"]
        for message in (json.loads(e["message"])["message"] for e in browser.get_log("performance"))
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in requests
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.long
def test_no_button_sends_a_figure_away(browser, page: Path) -> None:
    show(browser, page)
    titles = browser.execute_script(
        "return [...document.querySelectorAll('.modebar-btn')].map(e => e.dataset.title)"
    )
    assert not [title for title in titles if title and "hare" in title]


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
@pytest.mark.long
def test_text_stands_out_in_light_and_dark(browser, page: Path, scheme: str, is_dark: bool) -> None:
    show(browser, page, scheme=scheme)
    ground = sum(color_of(browser, "body", "backgroundColor"))
    assert (ground < 150) == is_dark
    for selector, style in (
        ("body", "color"),
        ("figcaption", "color"),
        ("[data-figure=history] .xtick text", "fill"),
        ("[data-figure=parallel] .annotation text", "fill"),
    ):
        text = sum(color_of(browser, selector, style))
        assert abs(text - ground) > 240, selector


@pytest.mark.long
def test_it_follows_a_change_to_dark(browser, page: Path) -> None:
    show(browser, page)
    before = color_of(browser, "[data-figure=history] .xtick text", "fill")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 300))")
    assert sum(color_of(browser, "[data-figure=history] .xtick text", "fill")) > sum(before) + 200


@pytest.mark.long
def test_a_phone_need_not_scroll_sideways(browser, page: Path) -> None:
    show(browser, page, width=360, phone=True)
    width, inner = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert width <= inner == 360
    widest = browser.execute_script(
        """return Math.max(...[...document.querySelectorAll('figure')]
        .map(e => e.getBoundingClientRect().right))"""
    )
    assert widest <= 360


# As if every name and sentence on the page held a word that is wider than the window.
LENGTHEN = """
const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
const texts = [];
while (walker.nextNode()) texts.push(walker.currentNode);
for (const text of texts)
  if (text.textContent.trim() && !text.parentElement.closest("svg, [data-figure]"))
    text.textContent += " " + "a_long_name_".repeat(8);
"""


@pytest.mark.parametrize("names", ["short", "long"])
@pytest.mark.long
def test_a_narrow_window_has_no_horizontal_scrollbar(browser, page: Path, names: str) -> None:
    show(browser, page, width=400)
    if names == "long":
        browser.execute_script(LENGTHEN)
    width, inner = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert width <= inner == 400


@pytest.mark.long
def test_it_prints_light_also_in_the_dark(browser, page: Path) -> None:
    show(browser, page, scheme="dark")
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    text = color_of(browser, "[data-figure=history] .xtick text", "fill")
    width = browser.execute_script(
        "return document.querySelector('[data-figure=history] svg').clientWidth"
    )
    assert sum(text) < 300 and width == 680


@pytest.mark.long
def test_a_browser_that_cannot_unpack_says_so(browser, page: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.html"
    text = page.read_text(encoding="utf-8")
    old.write_text(
        text.replace('"use strict";', '"use strict"; delete window.DecompressionStream;', 1),
        encoding="utf-8",
    )
    browser.get(old.as_uri())
    assert "newer browser" in browser.find_element("id", "trouble").text


# What needs no browser


@pytest.mark.long
def test_a_thousand_trials_stay_below_5_mb(record) -> None:
    large = thousand_trials(record)
    assert len(large.complete) == 1000
    report = make_report(large, "x.", BASELINES)
    names = {b.name for s in report.sections for b in s.blocks if isinstance(b, Picture)}
    assert {"history", "depth", "parallel", "slice-depth", "loss"} <= names
    assert len(render_page(report).encode()) < 5_000_000


def test_names_are_not_markup(record) -> None:
    marked = with_settings(record, data=replace(record.settings.data, source=MARKUP))
    text = render_page(report_on(replace(marked, name=MARKUP)))
    assert MARKUP not in text and "&lt;b onload" in text
    assert text.count("</script>") == text.count("<script")


def test_names_cannot_turn_the_direction_of_what_follows(record) -> None:
    text = render_page(report_on(replace(record, name="a\u202eb\x1b[2J\udcff")))
    assert "\\u202eb\\x1b[2J\\udcff" in text
    assert not set("\u202e\x1b\udcff") & set(text)


def test_a_single_split_has_no_bands_and_no_significance(tmp_path: Path, record) -> None:
    trials = tuple(replace(t, fold_values=t.fold_values[:1], stderr=None) for t in record.trials)
    single = with_settings(record, split=replace(record.settings.split, folds=1))
    report = report_on(replace(single, trials=trials, winner={}))
    text = render_page(report)
    assert "single split says nothing" in text and 'data-figure="significance' not in text


def test_an_older_study_says_what_it_lacks(record) -> None:
    old = replace(record, trials=tuple(replace(t, curves=None) for t in record.trials))
    text = render_page(report_on(old))
    assert "Losses were not recorded" in text
    assert 'data-figure="loss"' not in text and 'data-figure="scores"' in text
    assert "no trial was examined" in text


def test_one_complete_trial(record) -> None:
    text = render_page(report_on(replace(record, trials=(record.best(),))))
    assert 'data-figure="history"' in text and 'data-figure="parallel"' not in text
    assert "nothing differs between the complete trials" in text
    assert "One network was tried" in text


@pytest.mark.parametrize(
    ("outcome", "reason", "step"),
    [
        ("pruned", "halving after epoch 2", "--pruner none"),
        ("failed", "OOM: out of <memory>", "Correct what the reason says"),
        ("diverged", "diverged in epoch 1 on fold 1", "smaller highest learning rate"),
    ],
)
def test_without_a_complete_trial_it_says_why(record, outcome: str, reason: str, step: str) -> None:
    trials = tuple(
        replace(t, outcome=outcome, value=None, stderr=None, reason=reason) for t in record.trials
    )
    report = report_on(replace(record, trials=trials, winner={}))
    text = render_page(report)
    assert "so there is no winner" in report.summary[1] and reason in report.summary[1]
    assert step in report.summary[2]
    assert [section.name for section in report.sections] == [
        "history",
        "outcomes",
        "diagnosis",
        "reproduce",
    ]
    assert 'data-figure="history"' in text


def test_no_trials_are_an_error(record) -> None:
    with pytest.raises(NasError, match="no trial has ended"):
        report_on(replace(record, trials=()))


def plain(value: float, folds: tuple[float, ...]) -> Baseline:
    return Baseline("random forest", folds, value, 0.001, value, None, 0.1)


def test_the_summary_says_who_wins(record: StudyRecord) -> None:
    best = record.best()
    shift = {
        gain: plain(
            best.value + gain,
            tuple(v + gain * w for v, w in zip(best.fold_values, (0.9, 1, 1.1), strict=True)),
        )
        for gain in (-0.1, 0.1)
    }
    worse = summarize_in_words(record, None, [shift[-0.1]])[1]
    better = summarize_in_words(record, None, [shift[0.1]])[1]
    assert "is right about 85.0\u00a0% of the rows that it had never seen" in better
    assert "80.0\u00a0% to 90.0\u00a0%" in better
    assert "a random forest does better" in better and "use that instead" in better
    assert "no plain model reaches" in worse
    noisy = tuple(v + d for v, d in zip(best.fold_values, (-0.05, 0.0, 0.06), strict=True))
    assert "about as good" in summarize_in_words(record, None, [plain(best.value, noisy)])[1]


def test_the_summary_of_an_error_counts_downwards(record: StudyRecord) -> None:
    errors = replace(record, metric="rmse", direction="minimize")
    best = errors.best()
    lower = plain(best.value - 0.1, tuple(v - 0.1 for v in best.fold_values))
    text = summarize_in_words(errors, None, [lower])[1]
    assert f"is off by {best.value:.3g} (root mean square)" in text and "does better" in text


def test_the_page_is_written_whole_or_not_at_all(record, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(NasError, match="disk full"):
        write_page(report_on(record), path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8") == "old"


def test_the_same_study_gives_the_same_page(tmp_path: Path) -> None:
    _, small = finished(tmp_path, n_trials=6, pruner="none")
    assert render_page(report_on(small)) == render_page(report_on(small))
