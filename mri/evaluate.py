"""The numbers of a finished run, from its folder alone: `python mri/evaluate.py run=RUN_DIR`."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.runs.lock import occupied
from monarch_core.runs.start import given, load_config, run_to_read
from monarch_core.training.evaluation import models_of_run
from mri.config.run import MriConfig
from mri.dataset.splits import load_splits
from mri.evaluation import evaluate_elsewhere, measure_and_keep, other_data
from mri.metrics.measure import validation_loss
from mri.models import model_of


def evaluate(run_dir: Path, evaluation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Measure the weights of a run on its test split; leave results.json, scans.csv, artifacts.npz.

    What is given in `evaluation` takes the place of the run's values, and stands in the config of
    results.json; config.yaml stays what the run was trained with.

    Raises:
        ValueError: no finished run, one in use, weights that do not fit, or an undefined metric.
        OSError: the numbers were logged but the files cannot be written.
    """
    with occupied(run_dir):
        config = load_config(run_dir, MriConfig, {"evaluation": evaluation or {}})
        splits = load_splits(config.dataset)
        build = partial(model_of, config, splits.grid, splits)
        models = models_of_run(run_dir, build, config, splits)
        return measure_and_keep(run_dir, config, splits, models, validation_loss(run_dir))


@entry_script("../configs/mri", "evaluate")
def main(raw: DictConfig) -> None:
    """Evaluate one run again, or on other data, and log its numbers."""
    other = other_data(raw.dataset)  # before the change to the folder of the run's start
    run_dir, evaluation = run_to_read(raw), given(raw.evaluation)
    if other:
        evaluate_elsewhere(run_dir, other, evaluation, raw.name)
    else:
        evaluate(run_dir, evaluation)


if __name__ == "__main__":
    main()
