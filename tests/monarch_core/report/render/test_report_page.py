"""The page is one valid file that needs nothing else, and says what the runs say."""

import base64
import os
import platform
import re
from html.parser import HTMLParser

import pytest

from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render import basis, fields, forest, lines
from monarch_core.report.render.page import write_report

SIGNATURE = b"\x89PNG"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects text, sources and ids, and fails on tags that do not nest."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.loads, self.links, self.ids = [], [], [], [], []
        self.words = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "srcset", "data", "poster", "action"):
                self.loads.append(value)
            if name == "href":
                self.links.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Draw no pixels, which takes most of the time: what stands for an image is what it shows."""

    def stand_in(figure):
        shown = [(axes.get_title(), len(axes.get_lines())) for axes in figure.axes]
        return SIGNATURE + repr((figure.get_suptitle(), shown)).encode()

    for module in (basis, fields, forest, lines):
        monkeypatch.setattr(module, "png_of", stand_in)


@pytest.fixture
def report(runs, tmp_path):
    """Return a function that writes the report and parses its page."""

    def write(**options):
        page = write_report(collect_runs([runs]), tmp_path / "report", **options)
        return Page(page.read_text(encoding="utf-8"))

    return write


@pytest.fixture
def many(make_run, make_failed):
    """Two tasks, two kinds of data, two seeds, and a failed run."""
    for seed in (0, 1):
        for transform in ("fft", "monarch", "dense"):
            make_run(transform, seed=seed, n_epochs=3, artifacts=True)
        make_run("fft", seed=seed, config={"dataset.viscosity": 1e-4})
    for transform, psnr in (("fft", 30.5), ("monarch", 31.75)):
        make_run(
            transform,
            task="mri",
            config={"dataset.name": "brain", "model.name": "sense"},
            metrics={"psnr": psnr},
        )
    make_failed()


def test_the_page_is_well_formed_and_loads_nothing(report, many, tmp_path):
    page = report()
    assert page.loads
    assert all(source.startswith("data:image/png;base64,") for source in page.loads)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(set(page.ids)) == len(page.ids)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    without_images = re.sub(r"base64,[^\"]*", "", html)
    assert not re.search(r"https?:|url\(|@import|/tmp/|/home/", without_images.split("<main>")[0])


def test_every_figure_of_the_page_is_a_file_and_the_other_way_round(report, many, tmp_path):
    page = report()
    embedded = {base64.b64decode(source.split(",")[1]) for source in page.loads}
    files = list((tmp_path / "report" / "figures").iterdir())
    assert {file.read_bytes() for file in files} == embedded
    assert all(content.startswith(SIGNATURE) for content in embedded)
    assert len(files) == len(page.loads)


def test_the_findings_of_all_tasks_are_on_the_page(report, many):
    text = report(metric="psnr").text
    assert "cannot tell brain, sense, monarch: psnr 1.25 dB higher than with fft (one seed" in text
    assert "31.8 against fft 30.5 in psnr (one seed: no spread)" in text
    assert "0.0300 ± 0 against fft 0.0300 ± 0 in relative l2" in text
    assert "8 finished runs" not in text
    assert "10 finished runs, 1 failed; mri, pde" in text


def test_numbers_come_from_the_results(make_run, report):
    make_run("fft", error=0.04321)
    make_run("monarch", error=0.04321 * 0.876)
    text = report().text
    assert "0.0432" in text
    assert "0.0379" in text
    assert "-12 %" in text


def test_failed_unfinished_and_unreadable_runs_are_listed(runs, make_run, make_failed, report):
    make_run("fft")
    make_failed("broken-one")
    cut = make_run("monarch", name="cut-one")
    (cut / "results.json").write_text('{"task": ')
    (runs / "open-one").mkdir()
    (runs / "open-one" / "config.yaml").write_text("seed: 0\n")
    text = report().text
    assert re.search(r"Runs that failed run reason \S*broken-one ValueError: loss is nan", text)
    assert re.search(r"that stopped run reason \S*open-one stopped after epoch 0", text)
    assert re.search(r"cannot be read run reason \S*cut-one results\.json:", text)


def test_a_run_at_work_is_listed_with_how_far_it_is(runs, make_run, report):
    make_run("fft")
    run = runs / "at-work"
    run.mkdir()
    (run / "config.yaml").write_text("fit: {epochs: 30}\n")
    (run / "log.jsonl").write_text('{"epoch": 1, "valid_error": 0.0123}\n')
    (run / ".lock").write_text(f"process {os.getpid()} on {platform.node()}")
    text = report().text
    assert "1 finished run, 1 running; pde" in text
    assert "Not complete: 1 running. Runs that are not finished yet" in text
    assert "at-work epoch 1 of 30, validation error 0.0123" in text


def test_rows_are_best_first_and_the_control_is_marked(make_run, report):
    for transform, error in (("fft", 0.03), ("monarch", 0.01), ("dense", 0.02)):
        make_run(transform, error=error)
        make_run(transform, error=error, config={"dataset.viscosity": 1e-4})
    table = report().text.partition("Results")[2].partition("The same in all rows")[0]
    order = [word for word in table.split() if word in ("fft", "monarch", "dense")]
    assert order == ["monarch", "dense", "fft"] * 2
    assert table.count("fft control") == table.count("control") == 2


def test_many_intervals_come_with_a_word_of_caution(make_run, report):
    make_run("fft")
    for width in range(9):
        make_run("monarch", config={"model.width": width})
    assert "by chance: at 95 %" not in report().text
    make_run("monarch", config={"model.width": 9})
    assert "Of 10 changes that are none, about 1 would be off zero by chance" in report().text


def test_failed_runs_alone_make_a_page(make_failed, report):
    make_failed()
    text = report().text
    assert "0 finished runs, 1 failed" in text
    assert "Results" not in text


def test_one_run_makes_a_page(make_run, report):
    make_run("monarch", n_epochs=3, artifacts=True)
    text = report().text
    assert "1 finished run;" in text
    assert "no control run to compare with" in text
    assert "One seed: no spread." in text


def test_what_is_missing_is_not_available(make_run, report):
    make_run("fft", error=float("nan"), n_parameters=None)
    assert "n/a" in report().text


def test_runs_without_metrics_make_a_page(make_run, report):
    folder = make_run("fft")
    text = (folder / "results.json").read_text()
    (folder / "results.json").write_text(re.sub(r'"metrics": {[^}]*}', '"metrics": {}', text))
    assert "1 finished run" in report().text


def test_text_of_the_runs_is_escaped(make_run, make_failed, report):
    make_run("fft", device="<script>alert(1)</script>", task="a <b> & 'c'")
    make_failed(text="Error: <img src=http://evil> & more")
    page = report()
    assert "script" not in page.tags
    assert page.loads == []
    assert "<script>alert(1)</script>" in page.text
    assert "a <b> & 'c'" in page.text


def test_the_footer_says_how_to_get_there_again(make_run, report):
    make_run("fft")
    make_run("monarch", git_commit="fedcba", versions={"torch": "2.11.0", "neuralop": None})
    text = report().text
    assert "python 3.11.9, torch 2.11.0 and 2.13.0" in text
    assert "0123abc, fedcba (the runs do not all come from the same code)" in text
    assert "python pde/train.py transform=monarch seed=0" in text


def test_without_commands_it_says_so(make_run, report):
    make_run("fft", command=None)
    assert "did not record the command" in report().text


def test_metrics_beyond_the_first_have_tables_of_their_own(make_run, report):
    names = [f"error_{i}" for i in range(12)]
    make_run("fft", metrics=dict.fromkeys(names, 1.5))
    text = report().text
    assert all(name.replace("_", " ") in text for name in names)
    assert text.count("Further metrics") == 3  # two tables, and what they are folded into
    assert "Further metrics, costs, and what else differs (also in tables/pde.csv)" in text


def test_the_same_runs_give_the_same_bytes(make_run, report, tmp_path, monkeypatch):
    monkeypatch.undo()
    make_run("monarch", artifacts=True)

    def contents():
        files = sorted((tmp_path / "report").rglob("*.*"))
        return {file.name: file.read_bytes() for file in files}

    report()
    before = contents()
    report()
    assert contents() == before


def test_a_new_report_replaces_the_old_one_and_nothing_else(make_run, report, tmp_path):
    out = tmp_path / "report"
    for transform in ("fft", "monarch"):
        make_run(transform, n_epochs=2, name=transform)
    report()
    (out / "notes.txt").write_text("mine")
    old = out / "figures" / "stale.png"
    old.write_bytes(b"old")
    report()
    assert not old.exists()
    assert (out / "notes.txt").read_text() == "mine"


def test_files_of_others_are_left_alone(make_run, report, tmp_path):
    mine = tmp_path / "report" / "figures" / "mine.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    make_run("fft")
    report()
    assert mine.read_bytes() == b"mine"


def test_tables_are_written_as_csv_and_markdown(report, many, tmp_path):
    report()
    names = {file.name for file in (tmp_path / "report" / "tables").iterdir()}
    assert {"groups.csv", "runs.csv", "pde.md", "pde.csv", "mri.md", "failed.csv"} <= names
    assert "pde-navier-stokes-viscosity-0.001-distance.md" in names


def test_errors_name_the_remedy(make_run, report, runs, tmp_path):
    make_run("fft")
    with pytest.raises(ValueError, match="no run has the metric 'l3'; use one of relative_l2, h1"):
        report(metric="l3")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file; give a folder"):
        write_report(collect_runs([runs]), tmp_path / "file")
