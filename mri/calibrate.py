"""Learn the encoding of a scanner from a known object: `python mri/calibrate.py key=value ...`."""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.training.start import start_run
from mri.config.run import CalibrationConfig
from mri.dataset.known import read_known
from mri.dataset.splits import load_splits
from mri.evaluate import evaluate
from mri.metrics.measure import check_evaluation
from mri.models import model_of
from mri.models.calibrated import calibrate_model


@entry_script("../configs/mri", "calibrate")
def main(raw: DictConfig) -> None:
    """Calibrate; the run folder is then a `calibration=` for `mri/train.py`."""
    config, run_dir = start_run(raw, CalibrationConfig)  # checks, seeds, saves config.yaml
    splits = load_splits(config.dataset)
    check_evaluation(config.evaluation, splits.test)
    model = model_of(config, splits.grid, splits)
    scan, held_out = read_known(splits.train), read_known(splits.valid)
    calibrate_model(model, scan, held_out, run_dir)  # leaves weights.pt and log.jsonl
    evaluate(run_dir)


if __name__ == "__main__":
    main()
