"""Fake runs, written to disk as real ones are."""

import pytest
from report_runs import write_run

from monarch_core.report.compare.groups import group_runs
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render import basis, fields, forest, lines


@pytest.fixture
def runs(tmp_path):
    """Folder below which `make_run` writes."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def make_run(runs):
    """Return a function that writes one finished run and returns its folder."""
    counter = iter(range(10**6))

    def make(transform="monarch", *, seed=0, name=None, **options):
        folder = runs / (name or f"run-{next(counter):03d}-{transform}-{seed}")
        write_run(folder, transform, seed=seed, **options)
        return folder

    return make


@pytest.fixture
def make_failed(runs):
    """Return a function that writes a run that ended with an error."""

    def make(name="failed", text="Traceback\n  ...\nValueError: loss is nan; lower the rate\n\n"):
        folder = runs / name
        folder.mkdir()
        (folder / "config.yaml").write_text("seed: 0\n")
        (folder / "failure.txt").write_text(text)
        return folder

    return make


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures themselves instead of turning them into images."""
    figures = []

    def keep(figure):
        figures.append(figure)
        return b""

    for module in (basis, fields, forest, lines):
        monkeypatch.setattr(module, "png_of", keep)
    return figures


@pytest.fixture
def groups(runs):
    """Return a function that groups what has been written so far."""
    return lambda: group_runs(collect_runs([runs]))
