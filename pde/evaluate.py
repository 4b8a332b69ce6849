"""The numbers of a finished run, from its folder alone: `python pde/evaluate.py run=RUN_DIR`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.artifacts import save_artifacts
from monarch_core.runs.home import expand_home
from monarch_core.runs.lock import occupied
from monarch_core.runs.results import report_metrics, write_results
from monarch_core.runs.start import load_config, run_to_read, user_errors
from monarch_core.training.devices import choose_accelerator
from monarch_core.training.optimization import n_parameters
from monarch_core.training.portrait import portray_transforms
from monarch_core.training.recipe import load_trained
from pde.config.run import PdeConfig
from pde.dataset.splits import check_grids, load_splits
from pde.figures import draw_error_over_grid, draw_predictions
from pde.measure import error_on, errors_on_grids, predict, roll_out_errors
from pde.metrics import band_errors, relative_h1, relative_l2
from pde.models import RollOut, build_model


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
        return _evaluate(run_dir, evaluation or {})


def _evaluate(run_dir: Path, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    config = load_config(run_dir, PdeConfig, {"evaluation": evaluation})
    check_grids(config.dataset, config.evaluation.grids)
    splits = load_splits(config.dataset)
    model, start = (_at_start(config, splits.grid) for _ in range(2))
    load_trained(run_dir, model, config, splits.fingerprints)
    model.to(choose_accelerator(config.fit.accelerator)).eval()
    batch_size, periodic = config.fit.batch_size, config.dataset.periodic
    truth = splits.test.future
    prediction, seconds = predict(model, splits.test, batch_size)
    on_grids = errors_on_grids(model, config)
    metrics = {
        "relative_l2": relative_l2(prediction, truth).item(),
        **roll_out_errors(model, prediction, splits.test, batch_size),
        "relative_h1": relative_h1(prediction, truth, periodic=periodic).item(),
        **{
            f"error_{name}": error
            for name, error in band_errors(prediction, truth, periodic=periodic).items()
        },
        **{f"relative_l2/{grid}": error for grid, error in on_grids.items()},
        "relative_l2_valid": error_on(model, splits.valid, batch_size),
        "relative_l2_train": error_on(model, splits.train, batch_size),
        "milliseconds_per_trajectory": 1e3 * seconds,
    }
    report_metrics(run_dir, metrics, required=metrics)
    save_artifacts(
        run_dir,
        [
            *draw_predictions(config.dataset, splits, prediction, truth),
            *draw_error_over_grid(on_grids),
            *portray_transforms(model, start),
        ],
    )
    return write_results(
        run_dir,
        task="pde",
        dataset=config.dataset.name,
        model=config.model.name,
        transform=config.transform.name,
        seed=config.seed,
        split_sizes=splits.sizes,
        metrics=metrics,
        n_parameters=n_parameters(model),
        config=config,
        fingerprints=splits.fingerprints,
    )


def _at_start(config: PdeConfig, grid: tuple[int, ...]) -> RollOut:
    """Return the model with the weights that training starts with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build_model(config, grid)


@hydra.main(version_base="1.3", config_path="../configs", config_name="evaluate")
@user_errors
def main(raw: DictConfig) -> None:
    """Evaluate one run again and log its numbers."""
    evaluate(run_to_read(raw), raw.evaluation)


if __name__ == "__main__":
    sys.argv[1:] = expand_home(sys.argv[1:])
    main()
