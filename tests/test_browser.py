"""The pages that people open, in a real browser: no errors, every figure, no wider than a phone."""

import os
import platform
import shutil
from pathlib import Path

import chromium
import pytest
from report_runs import write_run

from monarch_core.report.cli import main as monarch_report

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs/_build/html"
# Pages of a site that list sources and words, by a generator that others test.
GENERATED = ("_", "genindex", "py-modindex", "search")
MOST_OF_API = 5  # pages, which all look alike

pytestmark = pytest.mark.skipif(
    chromium.find() is None, reason="needs a browser: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = chromium.Chromium(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the page of committed results, and of runs that draw every kind of figure."""
    folder = tmp_path_factory.mktemp("report")
    runs = folder / "runs"
    for seed in (0, 1, 2):
        shutil.copytree(
            ROOT / f"docs/results/mri_few_shot/monarch_1_seed{seed}", runs / f"mri_{seed}"
        )
        for transform, error in (("fft", 0.03), ("monarch", 0.02), ("dense", 0.05)):
            write_run(
                runs / f"{transform}_{seed}",
                transform,
                seed=seed,
                error=error + 1e-4 * seed**2,
                n_epochs=3 * (seed == 0),
                artifacts=seed == 0,
                metrics={f"error_of_a_long_name_{i}": 0.1 for i in range(9)},
                config={"dataset.path": "a_folder_of_a_very_long_name/" * 6},
            )
    failed, running = runs / ("failed_in_a_folder_of_a_long_name_" * 4), runs / "running"
    for run in (failed, running):
        run.mkdir()
        (run / "config.yaml").write_text("fit: {epochs: 30}\n")
    (failed / "failure.txt").write_text(f"ValueError: {'an_unbreakable_reason/' * 12}\n")
    (running / ".lock").write_text(f"process {os.getpid()} on {platform.node()}")
    (running / "log.jsonl").write_text('{"epoch": 1, "valid_error": 0.5}\n')
    assert monarch_report([str(runs), "--out", str(folder / "report")]) == 0
    return folder / "report" / "index.html"


def look_at(browser, page, width):
    seen = browser.look_at(page, width)
    assert seen.errors == []
    assert seen.broken == []
    assert (seen.wide, seen.width) == ([], width)
    return seen


@pytest.mark.parametrize("width", [chromium.PHONE, 1280])
def test_the_report_is_whole_and_fits_the_screen(browser, report, width):
    seen = look_at(browser, report, width)
    assert seen.n_images == len(list((report.parent / "figures").iterdir())) > 5
    assert seen.unnamed == []


def test_the_documentation_is_whole_and_fits_a_phone(browser):
    pages = [
        page
        for page in sorted(SITE.rglob("*.html"))
        if not page.relative_to(SITE).parts[0].startswith(GENERATED)
    ]
    if not pages:
        pytest.skip("needs the documentation: make docs")
    of_api = [page for page in pages if "api" in page.parts]
    for page in [page for page in pages if page not in of_api[MOST_OF_API:]]:
        if b'http-equiv="refresh"' not in page.read_bytes():
            look_at(browser, page, chromium.PHONE)


def test_what_is_wrong_with_a_page_is_seen(browser, tmp_path):
    """A box of its own may scroll; nothing else may be wider than the screen."""
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><meta name=viewport content='width=device-width'><body>"
        "<div style='overflow-x: auto'><p style='width: 900px'>scrolls</p></div>"
        "<table id=wide style='width: 500px'><tr><td>wide</td></tr></table>"
        "<img src=missing.png alt='a figure'><script>undefined.name</script>"
        "<script>console.error('told', 1)</script>"
    )
    seen = browser.look_at(page)
    assert "table#wide" in seen.wide
    assert not any(name.startswith("p") for name in seen.wide)
    assert seen.width > chromium.PHONE
    assert (seen.broken, seen.n_images) == (["a figure"], 1)
    told = " ".join(seen.errors)
    assert all(word in told for word in ("missing.png", "Uncaught", "told 1"))
