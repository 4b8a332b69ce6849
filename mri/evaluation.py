"""Measure the model of a run on data, and keep what is found: in the run's folder, or beside it."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from data_scripts.file_names import plain_name
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.lock import occupied
from monarch_core.runs.overrides import job_name
from monarch_core.runs.results import report_metrics
from monarch_core.runs.schema import load_config
from monarch_core.runs.start import given
from monarch_core.training.evaluation import keep_results, models_of_run
from monarch_core.training.transform_config import KNOWN
from mri.config.dataset import DatasetConfig
from mri.config.run import MriConfig
from mri.dataset.held_out import HeldOut, load_held_out
from mri.dataset.splits import Splits
from mri.figures import draw
from mri.grids import loading_for
from mri.metrics.measure import check_evaluation, measure
from mri.metrics.scores import write_scans
from mri.models import model_of_run

log = logging.getLogger(__name__)


def measure_and_keep(
    folder: Path,
    config: MriConfig,
    splits: Splits | HeldOut,
    models: tuple[nn.Module, nn.Module | None],
    more: Mapping[str, float],
) -> dict[str, Any]:
    """Measure a model on a test split; leave results.json, scans.csv, artifacts.npz.

    Args:
        folder: where they go.
        config: of the run as it is measured.
        splits: the data.
        models: as it was trained, and as it started, None where that is not known.
        more: metrics that stand beside those that are measured.

    Raises:
        ValueError: a metric is not defined.
        OSError: the numbers were logged but the files cannot be written.
    """
    model, start = models
    measured = measure(model, splits, config)
    metrics = {**measured.metrics, **more}
    report_metrics(folder, metrics, required=measured.required)
    write_scans(folder, measured.scores, measured.preset)
    artifacts = draw(measured, splits, model.cpu(), start)
    return keep_results(folder, "mri", config, splits, model, metrics, artifacts)


def evaluate_elsewhere(
    run_dir: Path,
    dataset: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Path:
    """Measure the weights of a run on the test split of other data, or with other masks.

    What is found goes into `evaluations/<name>` in the folder of the run, whose own results stay as
    they are. The config in results.json is that of the run with these data.

    Args:
        run_dir: folder of the run.
        dataset: options of the data that take the place of the run's. Scans in another folder
            (`root`) are taken as they are, and are called after the folder.
        evaluation: options of the metrics that take the place of the run's.
        name: of the evaluation; null: made of what is changed.

    Returns:
        The folder of the results.

    Raises:
        ValueError: no finished run, scans of another grid, without a test split, or without the
            mask asked for, or a folder of that name with results of other data.
        OSError: the numbers were logged but the files cannot be written.
    """
    changes = _complete(dataset)
    own = load_config(run_dir, MriConfig)
    config = load_config(
        run_dir, MriConfig, {"dataset": changes, "evaluation": dict(evaluation or {})}
    )
    folder = _folder_of(run_dir, changes, name, config.dataset)
    data = load_held_out(config.dataset, _trained_on(run_dir))
    check_evaluation(config.evaluation, data.test)
    with loading_for(run_dir, data.grid):
        build = partial(model_of_run, run_dir, own, data.grid)
        model, start = models_of_run(run_dir, build, own, None)
    began_at_scans = own.transform.kind in KNOWN  # which are not at hand
    folder.mkdir(parents=True, exist_ok=True)
    with occupied(folder):
        measure_and_keep(folder, config, data, (model, None if began_at_scans else start), {})
    log.info("wrote %s", folder)
    return folder


def other_data(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the data that were given, with a folder as a whole path.

    Args:
        asked: options; null ones were not given.
    """
    options = given(asked)
    root = {"root": str(Path(options["root"]).absolute())} if "root" in options else {}
    return {**options, **root}


def _complete(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes of the data with what follows from them."""
    changes = dict(dataset)
    if "root" in changes:
        changes = {"recipe": None, "name": Path(changes["root"]).name, **changes}
    if changes.get("mask", "stored") != "stored":
        changes["mask_name"] = None
    return changes


def _folder_of(
    run_dir: Path, changes: Mapping[str, Any], name: str | None, dataset: DatasetConfig
) -> Path:
    """Return the folder of an evaluation, if it holds no results of other data."""
    words = [
        f"{key}={value}"
        for key, value in changes.items()
        if key not in ("root", "name", "recipe") and value is not None
    ]
    parts = [*([changes["name"]] if "name" in changes else []), *([job_name(words)] * bool(words))]
    chosen = plain_name(name or "-".join(parts), "the name of an evaluation")
    folder = RunFolder(RunFolder(run_dir).evaluations / chosen)
    stored = folder.read_results() if folder.is_finished else None
    if stored is not None:
        config = stored.get("config") if isinstance(stored, dict) else None
        of_data = config.get("dataset") if isinstance(config, dict) else None
        if of_data != json.loads(json.dumps(dataclasses.asdict(dataset))):
            raise ValueError(
                f"{folder.path} holds the results of other data; give these another name, with "
                "name=NAME, or delete that folder"
            )
    return folder.path


def _trained_on(run_dir: Path) -> dict[str, str]:
    """Return the fingerprints of what a run was trained on, where its own results say so."""
    folder = RunFolder(run_dir)
    stored = folder.read_results() if folder.is_finished else {}
    prints = stored.get("data_fingerprints") if isinstance(stored, dict) else None
    known = prints if isinstance(prints, dict) else {}
    return {k: str(v) for k, v in known.items() if k in ("train", "valid")}
