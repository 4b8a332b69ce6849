"""Train and evaluate one MRI reconstruction: `python mri/train.py key=value ...`."""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.runs.processes import is_main_process
from monarch_core.training.fit import fit
from monarch_core.training.start import start_run
from mri.config.run import MriConfig
from mri.dataset.splits import load_splits
from mri.evaluate import evaluate
from mri.metrics.losses import find_loss
from mri.metrics.measure import check_evaluation, check_loss
from mri.models import model_of
from mri.models.calibrated import start_at_calibration
from mri.models.start import check_start, start_model
from mri.models.tuning import choose_lamda


@entry_script("../configs/mri", "train")
def main(raw: DictConfig) -> None:
    """Train and evaluate one reconstruction."""
    config, run_dir = start_run(raw, MriConfig)  # checks the schema, seeds, saves config.yaml
    check_start(config, run_dir)
    splits = load_splits(config.dataset)
    check_loss(config.loss, splits.test)
    check_evaluation(config.evaluation, splits.test)
    model = model_of(config, splits.grid, splits)
    start_model(model, config, splits.grid, run_dir)
    start_at_calibration(model, config, splits.grid)
    splits.check_held_out()
    choose_lamda(model, splits.valid, has_phase=splits.valid.targets_have_phase)  # if it has one
    loss = find_loss(config.loss, config.structure_weight)
    fit(
        model,
        loss,
        splits.train,
        splits.valid,
        config.fit,
        run_dir,
        seed=config.seed,
        whole_config=config,
        fingerprints=splits.fingerprints,
    )
    if is_main_process():
        evaluate(run_dir)


if __name__ == "__main__":
    main()
