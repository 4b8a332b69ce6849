"""Is a learned transform worth a run? `python pde/diagnose.py dataset=NAME` before any training."""

import logging
import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.runs.schema import to_dataclass
from pde.config.run import PdeConfig, choose_own
from pde.dataset.splits import load_splits
from pde.metrics.diagnosis import diagnose_splits
from pde.understand import understood

log = logging.getLogger(__name__)


@entry_script("../configs/pde", "diagnose", choose_own)
def main(raw: DictConfig) -> None:
    """Say for each axis what another basis than Fourier's could gain."""
    config = to_dataclass(understood(raw), PdeConfig)
    splits = load_splits(config.dataset)
    log.info("%s", splits.description)
    names = [name for name, _ in config.dataset.quantities]
    for found in diagnose_splits(splits, names if len(names) > 1 else [""]):
        log.info("%s", found)


if __name__ == "__main__":
    main()
