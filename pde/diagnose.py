"""Is a learned transform worth a run? `python pde/diagnose.py dataset=NAME` before any training."""

import logging
import os
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.schema import to_dataclass
from monarch_core.runs.start import user_errors
from pde.config.run import PdeConfig, choose_own
from pde.dataset.splits import load_splits
from pde.metrics.diagnosis import diagnose_splits
from pde.understand import understood

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path="../configs/pde", config_name="diagnose")
@user_errors
def main(raw: DictConfig) -> None:
    """Say for each axis what another basis than Fourier's could gain."""
    config = to_dataclass(understood(raw), PdeConfig)
    splits = load_splits(config.dataset)
    log.info("%s", splits.description)
    names = [name for name, _ in config.dataset.quantities]
    for found in diagnose_splits(splits, names if len(names) > 1 else [""]):
        log.info("%s", found)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (sys.path[0], os.getenv("PYTHONPATH"))))
    sys.argv[1:] = choose_own(sys.argv[1:])
    main()
