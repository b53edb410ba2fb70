"""The HTML report in a real browser, without a network: Debian's Chromium, headless."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from metrics.report.report import finish

pytestmark = [pytest.mark.exhaustive, pytest.mark.server, pytest.mark.slow]

SCREENSHOTS = Path(__file__).parents[3] / ".cache" / "screenshots"
HOSTILE = "<img src=x onerror=document.title='broken'><script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser that keeps account of its console and of each request."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        assert not os.environ.get("CI"), "CI has no chromium and chromedriver: see .ci/run"
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def report(experiment_writer: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of six seeds, whose model has a name that must not become markup."""
    folder = experiment_writer(tmp_path_factory.mktemp("report") / "x", range(6), model=HOSTILE, dirty=True)
    with (folder / "said").open("w") as said:
        finish(folder, Console(file=said), f"python -m experiments.run +exp=x out='{HOSTILE}'")
    return folder / "report.html"


def command(browser: webdriver.Chrome, name: str, **parameters: Any) -> dict[str, Any]:
    return browser.execute_cdp_cmd(name, parameters)


def look(browser: webdriver.Chrome, report: Path, width: int, scheme: str = "light") -> None:
    """Open the report in a window of this width."""
    command(browser, "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    command(
        browser, "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
    )
    browser.get(report.as_uri())


def headings(browser: webdriver.Chrome) -> dict[str, Any]:
    return {
        button.text.split("\n")[0]: button
        for button in browser.find_elements(By.CSS_SELECTOR, ".headline thead button")
    }


def column(browser: webdriver.Chrome, place: int) -> list[str]:
    cells = browser.find_elements(By.CSS_SELECTOR, f".headline tbody td:nth-child({place + 1})")
    return [cell.text.split()[0] for cell in cells]


def test_it_loads_without_an_error_and_asks_for_nothing_but_itself(browser: webdriver.Chrome, report: Path) -> None:
    browser.get_log("performance")
    look(browser, report, 1400)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in requested if not url.startswith("data:")] == [report.as_uri()]
    assert browser.get_log("browser") == []
    assert browser.title == "invented"  # nothing of a name was run
    assert HOSTILE in browser.find_element(By.CLASS_NAME, "learnt").text
    assert len(browser.find_elements(By.CSS_SELECTOR, "script")) == 1
    assert browser.find_elements(By.CSS_SELECTOR, "img") == []


def test_its_policy_forbids_requests_and_other_scripts(browser: webdriver.Chrome, report: Path) -> None:
    look(browser, report, 1400)
    tried = browser.execute_async_script(
        "const done = arguments[0]; fetch('https://example.org/').then(() => done('sent'), () => done('refused'));"
    )
    assert tried == "refused"
    browser.execute_script("const s = document.createElement('script'); s.text = 'document.title = 1'; "
                           "document.body.append(s);")  # fmt: skip
    assert browser.title == "invented"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_a_table_is_sorted_by_click_and_by_keyboard(browser: webdriver.Chrome, report: Path) -> None:
    look(browser, report, 1400)
    place = next(n for n, title in enumerate(headings(browser)) if title.startswith("later rounds"))
    button = list(headings(browser).values())[place]
    cell = button.find_element(By.XPATH, "..")
    assert cell.get_attribute("aria-sort") is None
    button.click()
    assert cell.get_attribute("aria-sort") == "ascending"
    assert column(browser, place) == sorted(column(browser, place), key=float)
    fastest = column(browser, 0)[0]
    button.send_keys(Keys.ENTER)
    assert cell.get_attribute("aria-sort") == "descending"
    assert column(browser, 0)[-1] == fastest
    by_name = headings(browser)["system"]
    by_name.send_keys(Keys.SPACE)
    assert column(browser, 0) == ["flower", "inprocess", "openwhisk"]
    assert cell.get_attribute("aria-sort") is None


def test_the_data_of_each_figure_are_a_click_away(browser: webdriver.Chrome, report: Path) -> None:
    look(browser, report, 1400)
    figures = browser.find_elements(By.CSS_SELECTOR, "figure")
    drawn = {path.stem for path in report.parent.glob("figures/*.svg")}
    assert len(figures) == len(drawn) > 5
    first = figures[0]
    assert not first.find_element(By.CSS_SELECTOR, "details table").is_displayed()
    first.find_element(By.CSS_SELECTOR, "summary").click()
    assert first.find_element(By.CSS_SELECTOR, "details table").is_displayed()
    link = first.find_element(By.CSS_SELECTOR, "details a")
    csv = base64.b64decode(str(link.get_attribute("href")).partition("base64,")[2])
    assert csv == (report.parent / "figures" / str(link.get_attribute("download"))).read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_it_is_readable_on_a_phone_and_on_a_desk_by_day_and_by_night(
    browser: webdriver.Chrome, report: Path, width: int, scheme: str
) -> None:
    look(browser, report, width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width  # only tables scroll
    edges = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => [Math.round(e.getBoundingClientRect().right), getComputedStyle(e).maskImage != 'none'])"
    )
    assert len(edges) > 5
    assert width > 390 or edges == [[width, True]] * len(edges)  # on a phone one sees that there is more
    paper, ink, text = browser.execute_script(
        "const of = (e, name) => getComputedStyle(e)[name]; return [of(document.body, 'backgroundColor'), "
        "of(document.body, 'color'), of(document.querySelector('figure svg'), 'fill')]"
    )
    assert (lightness(paper) > lightness(ink)) == (scheme == "light")
    assert abs(lightness(paper) - lightness(text)) > 0.5
    size = command(browser, "Page.getLayoutMetrics")["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": width, "height": size["height"], "scale": 1}
    shot = command(browser, "Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"report-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))


def lightness(colour: str) -> float:
    """Of ``rgb(1, 2, 3)``, in [0, 1]."""
    return sum(float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 765


def test_it_is_printed_on_light_paper_with_its_details_open(browser: webdriver.Chrome, report: Path) -> None:
    look(browser, report, 1400, "dark")
    printed = base64.b64decode(command(browser, "Page.printToPDF", printBackground=True)["data"])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / "report.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF")
    opened = browser.find_elements(By.CSS_SELECTOR, "details.print")
    assert opened
    assert all(part.get_attribute("open") is not None for part in opened)
    command(browser, "Emulation.setEmulatedMedia", media="print")
    assert lightness(browser.execute_script("return getComputedStyle(document.body).color")) < 0.3
    command(browser, "Emulation.setEmulatedMedia", media="")
