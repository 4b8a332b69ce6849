"""The numbers of a finished run, from its folder alone: `python sparse/evaluate.py run=RUN_DIR`."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.runs.lock import occupied
from monarch_core.runs.results import report_metrics
from monarch_core.runs.start import load_config, run_to_read
from monarch_core.training.evaluation import keep_results, models_of_run
from sparse.config.run import SparseConfig
from sparse.dataset.load import load_splits
from sparse.figures import draw
from sparse.metrics.measure import measure, validation_loss
from sparse.models import build_trained


def evaluate(run_dir: Path, evaluation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Measure the weights of a run on its test split; leave results.json and artifacts.npz.

    What is given in `evaluation` takes the place of the run's values, and stands in the config of
    results.json; config.yaml stays what the run was trained with.

    Raises:
        ValueError: the folder holds no finished run or is in use, its weights do not fit its
            config, or a metric is not finite.
        OSError: the numbers were logged but the files cannot be written.
    """
    with occupied(run_dir):
        config = load_config(run_dir, SparseConfig, {"evaluation": evaluation or {}})
        splits = load_splits(config.dataset, masked=config.model.IS_MASKED, seed=config.seed)
        build = partial(build_trained, config, splits.shape)
        model, _ = models_of_run(run_dir, build, config, splits)
        measured = measure(model, splits, config)
        metrics = {**measured.metrics, **validation_loss(run_dir)}
        report_metrics(run_dir, metrics, required=metrics)
        artifacts = draw(measured)
        return keep_results(run_dir, "sparse", config, splits, model, metrics, artifacts)


@entry_script("../configs/sparse", "evaluate")
def main(raw: DictConfig) -> None:
    """Evaluate one run again and log its numbers."""
    evaluate(run_to_read(raw))


if __name__ == "__main__":
    main()
