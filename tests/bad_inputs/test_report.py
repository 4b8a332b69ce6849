"""What the report and the comparison of MRI scans refuse, and what that leaves as it was."""

import json
from unittest import mock

import numpy as np
import pytest
from bad_inputs import BadInput, assert_refused, table

from monarch_core.report.cli import main, markdown_table
from monarch_core.report.documents import update_between_markers
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render.differences import differences_table
from monarch_core.report.render.page import write_report
from monarch_core.runs import artifacts
from monarch_core.runs.artifacts import Curve, load_artifacts, save_artifacts
from mri import compare
from mri.metrics.methods import mri_runs, read_methods

DOCUMENT = "# Results\r\n\r\n<!-- here -->\r\nold\r\n<!-- /here -->\r\n"


def write_run(folder, transform="fft", *, seed=0, scans=("a", "b"), preset="meddlr_2d", **config):
    """Write an evaluated MRI run into a folder below another one and return it."""
    settings = {
        "dataset": {"name": "brain", "root": "data/brain", "acceleration": 2.0},
        "model": {"name": "sense"},
        "transform": {"name": transform, "axis": {"heads": 1}},
        "evaluation": {"preset": preset},
        "seed": seed,
    }
    for key, value in config.items():
        part, _, name = key.partition("__")
        settings[part] = {**settings.get(part, {}), name: value}
    results = {
        "task": "mri",
        "dataset": settings["dataset"]["name"],
        "model": settings["model"]["name"],
        "transform": transform,
        "seed": seed,
        "split_sizes": {"train": 3, "valid": 1, "test": len(scans)},
        "metrics": {"nmse": 0.1},
        "config": settings,
    }
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))
    rows = [f"{scan},T1,model,seen,{preset},31.5,32.5,0.9" for scan in scans]
    head = "scan,echo,method,masks,preset,psnr,psnr_magnitude,ssim"
    (folder / "scans.csv").write_text("\n".join([head, *rows]))
    return folder


def ladder(folder):
    return markdown_table(collect_runs([folder]), ["nmse"], ladder=True)


def compared(folder, control=compare.CONTROL, **options):
    methods = read_methods(mri_runs([folder]))
    return differences_table(methods, control, compare.HEADS, item="scan", **options)


def fft_and(folder, transform="monarch", **changes):
    """Write two runs and compare them."""
    write_run(folder / "a")
    write_run(folder / "b", transform, **changes)
    return compared(folder)


def rewritten(folder, file, old, new):
    """Write two runs, replace something in a file of the second, and compare them."""
    write_run(folder / "a")
    path = write_run(folder / "b", "monarch") / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return compared(folder)


def linked_scores(folder):
    (folder / "secret.csv").write_text((write_run(folder / "runs/a") / "scans.csv").read_text())
    (folder / "runs/a/scans.csv").unlink()
    (folder / "runs/a/scans.csv").symlink_to(folder / "secret.csv")
    return compared(folder / "runs")


def document(folder, content):
    (folder / "README.md").write_bytes(content.encode() if isinstance(content, str) else content)
    update_between_markers(folder / "README.md", "here", "| new |")


def archive(folder, **arrays):
    """Write an archive of arrays beside a sound description of none, and read it."""
    metadata = np.frombuffer(b'{"format": 1, "artifacts": []}', dtype=np.uint8)
    np.savez_compressed(folder / "artifacts.npz", **{"metadata": metadata, **arrays})
    return load_artifacts(folder)


def described(folder, **changes):
    """Write one curve whose description is not what the report makes of it, and read it."""
    x = np.arange(3.0)
    save_artifacts(folder, [Curve("f", "title", "x", "y", x, x)])
    with np.load(folder / "artifacts.npz") as file:
        arrays = dict(file)
    metadata = json.loads(arrays["metadata"].tobytes())
    metadata["artifacts"][0].update(changes)
    return archive(
        folder, **{**arrays, "metadata": np.frombuffer(json.dumps(metadata).encode(), np.uint8)}
    )


def bomb(folder):
    """Read 2 MB of zeros in 2 kB where 1 MB is allowed."""
    with mock.patch.object(artifacts, "_MOST_BYTES", 1 << 20):
        return archive(folder, zeros=np.zeros(1 << 18))


@table(
    BadInput(
        "a folder that does not exist",
        lambda folder: collect_runs([folder / "nowhere"]),
        says=("nowhere does not exist", "give run folders"),
    ),
    BadInput(
        "a folder without runs",
        lambda folder: collect_runs([folder]),
        says=("no run found in", "results.json", "a training command makes one"),
    ),
    BadInput(
        "runs of which none is finished",
        lambda folder: [
            (folder / "failure.txt").write_text("no"),
            markdown_table(collect_runs([folder])),
        ],
        says=("no finished run in", "a table needs one"),
    ),
    BadInput(
        "a metric that no run has",
        lambda folder: markdown_table(collect_runs([write_run(folder / "a")]), ["l3"]),
        says=("no run has the metric 'l3'", "use some of nmse"),
    ),
    BadInput(
        "a main metric that no run has",
        lambda folder: write_report(
            collect_runs([write_run(folder / "a")]), folder / "out", metric="l3"
        ),
        says=("no run has the metric 'l3'", "use one of nmse"),
    ),
    BadInput(
        "a report in the place of a file",
        lambda folder: write_report(
            collect_runs([write_run(folder / "a")]), folder / "a/results.json"
        ),
        says=("results.json is a file", "give a folder for the report with --out"),
    ),
    BadInput(
        "a ladder without a control",
        lambda folder: ladder(write_run(folder / "a", "monarch")),
        says=("a ladder needs runs of a control",),
    ),
    BadInput(
        "a ladder whose best control nothing tells",
        lambda folder: [
            write_run(folder / "a", fit__epochs=3),
            write_run(folder / "b", fit__epochs=4),
            ladder(folder),
        ],
        says=("which of 2 fft groups is the best", "a has no log.jsonl", "leave all but one"),
    ),
    BadInput(
        "a document that is not UTF-8",
        lambda folder: document(folder, b"\xff\xfe<!-- here -->"),
        says=("README.md is not UTF-8", "save it as UTF-8"),
    ),
    BadInput(
        "a document without its marker",
        lambda folder: document(folder, "# Results"),
        says=("README.md has 0 lines '<!-- here -->'", "put exactly one"),
    ),
    BadInput(
        "a document with a marker twice",
        lambda folder: document(folder, DOCUMENT * 2),
        says=("README.md has 2 lines '<!-- here -->'", "put exactly one"),
    ),
    BadInput(
        "a document with its markers the wrong way round",
        lambda folder: document(folder, "<!-- /here --><!-- here -->"),
        says=("README.md has '<!-- /here -->' before", "swap them"),
    ),
    BadInput(
        "scans of two data sets",
        lambda folder: fft_and(folder, dataset__root="other/brain"),
        says=(
            "/a and ",
            "/b differ in dataset.root data/brain / other/brain",
            "compare them apart, or evaluate both again if the data are the same",
        ),
    ),
    BadInput(
        "scans under two masks",
        lambda folder: fft_and(folder, dataset__mask_seed=3),
        says=("/b differ in dataset.mask_seed 0 / 3", "compare them apart"),
    ),
    BadInput(
        "scans measured in two ways",
        lambda folder: fft_and(folder, preset="fastmri"),
        says=("/b differ in evaluation.preset meddlr_2d / fastmri", "compare them apart"),
    ),
    BadInput(
        "two transforms as two seeds",
        lambda folder: fft_and(folder, "fft", seed=1, transform__axis={"heads": 4}),
        says=("/b differ in transform.axis.heads 1 / 4", "compare them apart"),
    ),
    BadInput(
        "two models as two seeds",
        lambda folder: fft_and(folder, "fft", seed=1, model__n_cascades=7),
        says=("/b differ in model.n_cascades 5 / 7", "compare them apart"),
    ),
    BadInput(
        "one run twice",
        lambda folder: fft_and(folder, "fft"),
        says=("/a and ", "/b are the same run twice", "leave one out"),
    ),
    BadInput(
        "scans that only one side was tested on",
        lambda folder: fft_and(folder, scans=("a", "c")),
        says=("/a has no score of scan c, T1, which", "evaluate both on the same scans"),
    ),
    BadInput(
        "scans that only one seed was tested on",
        lambda folder: [
            write_run(folder / "c", "monarch", seed=1, split_sizes__test=2, scans=("a", "c")),
            fft_and(folder),
        ],
        says=("/c has no score of scan", "which", "/b has"),
    ),
    BadInput(
        "no other method",
        lambda folder: compared(write_run(folder / "a")),
        says=("no 'other method' to compare with 'sense, fft'", "the runs have 'sense, fft'"),
    ),
    BadInput(
        "a method that no run has",
        lambda folder: [fft_and(folder), compared(folder, only="unet, fft")],
        says=("no 'unet, fft'", "the runs have 'sense, fft', 'sense, monarch'"),
    ),
    BadInput(
        "a control that no run is",
        lambda folder: [fft_and(folder), compared(folder, control="unet, fft")],
        says=("no run of 'unet, fft' on 'brain, 2x'", "it has 'sense, fft'", "--control"),
    ),
    BadInput(
        "no MRI run",
        lambda folder: [
            (folder / "config.yaml").write_text("seed: 0"),
            compared(folder),
        ],
        says=("no evaluated MRI run in", "mri/evaluate.py run="),
    ),
    BadInput(
        "results without a config",
        lambda folder: rewritten(folder, "results.json", '"config"', '"gone"'),
        says=("/b: results.json does not say on which data", "mri/evaluate.py run="),
    ),
    BadInput(
        "an acceleration that is no number",
        lambda folder: fft_and(folder, dataset__acceleration="fast"),
        says=("/b: dataset.acceleration is 'fast', which is no number", "mri/evaluate.py run="),
    ),
    BadInput(
        "a score that is no number",
        lambda folder: rewritten(folder, "scans.csv", "31.5", "good"),
        says=("/b, scans.csv, line 2: could not convert", "'good'", "mri/evaluate.py run="),
    ),
    BadInput(
        "a scan that occurs twice",
        lambda folder: rewritten(folder, "scans.csv", "b,T1", "a,T1"),
        says=("/b, scans.csv, line 3, has a, T1 once more", "mri/evaluate.py run="),
    ),
    BadInput(
        "scores without a metric",
        lambda folder: rewritten(folder, "scans.csv", ",ssim", ",other"),
        says=("/b, scans.csv, line 2, has no ssim", "mri/evaluate.py run="),
    ),
    BadInput(
        "scores of another measurement than the results",
        lambda folder: rewritten(folder, "scans.csv", "meddlr_2d", "fastmri"),
        says=("scans.csv, line 2, was measured with preset fastmri", "meddlr_2d", "evaluate.py"),
    ),
    BadInput(
        "no score of the model",
        lambda folder: rewritten(folder, "scans.csv", "model", "zero-filled"),
        says=("/b, scans.csv has no line of the model", "mri/evaluate.py run="),
    ),
    BadInput(
        "scores that are a link out of the folder",
        linked_scores,
        says=("scans.csv is a link to", "is not followed", "put a copy of the file in its place"),
    ),
    BadInput(
        "artifacts that are pickled objects",
        lambda folder: archive(folder, metadata=np.array([print], dtype=object)),
        says=("artifacts.npz cannot be read", "allow_pickle=False", "evaluate the run again"),
    ),
    BadInput(
        "artifacts that unpack to more than memory holds",
        bomb,
        says=(
            "artifacts.npz cannot be read",
            "bytes unpacked, more than",
            "evaluate the run again",
        ),
    ),
    BadInput(
        "artifacts with a title that is no text",
        lambda folder: described(folder, title={"a": 1}),
        says=("artifacts.npz cannot be read", "title is {'a': 1}", "evaluate the run again"),
    ),
    BadInput(
        "artifacts of an unknown kind",
        lambda folder: described(folder, kind="__import__"),
        says=("artifacts.npz cannot be read", "'__import__'", "evaluate the run again"),
    ),
)
def test_what_cannot_be_compared_or_read_is_refused(case, tmp_path):
    assert_refused(case, tmp_path)


@pytest.mark.parametrize("content", [DOCUMENT * 2, "# Results", "<!-- /here --><!-- here -->"])
def test_a_refused_document_is_as_it_was(tmp_path, content):
    with pytest.raises(ValueError, match=r"README\.md has"):
        document(tmp_path, content)
    assert (tmp_path / "README.md").read_bytes() == content.encode()


def test_line_ends_of_a_document_stay(tmp_path):
    document(tmp_path, DOCUMENT)
    assert (tmp_path / "README.md").read_bytes() == DOCUMENT.replace("old", "| new |").encode()


def test_a_report_that_is_refused_leaves_the_one_before(tmp_path, capsys):
    run, out = str(write_run(tmp_path / "runs/a")), tmp_path / "out"
    assert main([run, "--out", str(out)]) == 0
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    assert main([run, "--out", str(out), "--metric", "l3"]) == 2
    assert "no run has the metric 'l3'" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in out.rglob("*.*")}
