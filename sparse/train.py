"""Train and evaluate one network: `python sparse/train.py model=gpt2 weight=monarch`."""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.runs.processes import is_main_process
from monarch_core.training.fit import fit
from monarch_core.training.start import start_run
from sparse.config.run import SparseConfig, read_words
from sparse.dataset.load import load_splits
from sparse.evaluate import evaluate
from sparse.metrics.losses import cross_entropy
from sparse.models import build_model
from sparse.models.start import check_data, check_start, still_to_start
from sparse.models.switch import switch_of


@entry_script("../configs/sparse", "train", read_words)
def main(raw: DictConfig) -> None:
    """Train and evaluate one network whose linear layers may be structured."""
    config, run_dir = start_run(raw, SparseConfig)
    start = still_to_start(config, run_dir)
    check_start(start)
    splits = load_splits(config.dataset, masked=config.model.IS_MASKED, seed=config.seed)
    check_data(start, splits.fingerprints)
    model = build_model(start, splits.shape)
    fit(
        model,
        cross_entropy,
        splits.train,
        splits.valid,
        config.fit,
        run_dir,
        seed=config.seed,
        whole_config=config,
        fingerprints=splits.fingerprints,
        change=switch_of(config),
    )
    if is_main_process():
        evaluate(run_dir)


if __name__ == "__main__":
    main()
