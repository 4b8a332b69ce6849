"""Train and evaluate one neural operator: `python pde/train.py dataset=navier_stokes`."""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.runs.processes import is_main_process
from monarch_core.training.fit import fit
from monarch_core.training.start import start_run
from pde.config.run import PdeConfig, choose_own
from pde.dataset.splits import check_grids, load_splits, training_set
from pde.evaluate import evaluate
from pde.metrics.errors import relative_l2, roll_out_loss
from pde.models import build_model, check_model
from pde.models.start import check_start, start_model
from pde.understand import understood


@entry_script("../configs/pde", "train", choose_own)
def main(raw: DictConfig) -> None:
    """Train and evaluate one PDE surrogate."""
    config, run_dir = start_run(understood(raw), PdeConfig)
    check_start(config, run_dir)
    check_model(config)
    splits = load_splits(config.dataset)
    check_grids(config.dataset, config.evaluation.grids)
    n_forced = round(config.teacher_forcing * config.fit.cycle_ends[0])
    train = training_set(
        splits, config.dataset, augment=config.augment, n_forced_epochs=n_forced, seed=config.seed
    )
    model = build_model(config, splits.grid)
    start_model(model, splits.train, config, run_dir)
    fit(
        model,
        model.of_channels(roll_out_loss),
        train,
        splits.valid,
        config.fit,
        run_dir,
        seed=config.seed,
        metric=model.of_channels(relative_l2),
        whole_config=config,
        fingerprints=splits.fingerprints,
    )
    if is_main_process():
        evaluate(run_dir)


if __name__ == "__main__":
    main()
