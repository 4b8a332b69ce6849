"""The numbers of a finished run, from its folder alone: `python pde/evaluate.py run=RUN_DIR`."""

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
from monarch_core.runs.start import given, load_config, run_to_read
from monarch_core.training.evaluation import keep_results, models_of_run
from pde.config.run import PdeConfig
from pde.dataset.splits import check_grids, load_splits
from pde.figures import draw
from pde.metrics.measure import measure
from pde.models import build_model


def evaluate(run_dir: Path, evaluation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Measure the weights of a run on its test split; leave results.json and artifacts.npz.

    What is given in `evaluation` takes the place of the run's values, and stands in the config of
    results.json; config.yaml stays what the run was trained with.

    Raises:
        ValueError: the folder holds no finished run or is in use, its weights do not fit its
            config, or an error is not finite.
        OSError: the numbers were logged but the files cannot be written.
    """
    with occupied(run_dir):
        config = load_config(run_dir, PdeConfig, {"evaluation": evaluation or {}})
        check_grids(config.dataset, config.evaluation.grids)
        splits = load_splits(config.dataset)
        build = partial(build_model, config, splits.grid)
        model, start = models_of_run(run_dir, build, config, splits)
        measured = measure(model, splits, config)
        report_metrics(run_dir, measured.metrics, required=measured.metrics)
        artifacts = draw(measured, splits, config.dataset, model, start)
        return keep_results(run_dir, "pde", config, splits, model, measured.metrics, artifacts)


@entry_script("../configs/pde", "evaluate")
def main(raw: DictConfig) -> None:
    """Evaluate one run again and log its numbers."""
    evaluate(run_to_read(raw), given(raw.evaluation))


if __name__ == "__main__":
    main()
