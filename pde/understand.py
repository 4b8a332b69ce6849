"""From a command about data of your own to a complete config, said before anything runs."""

import dataclasses
import logging

from omegaconf import DictConfig, OmegaConf, open_dict

from monarch_core.runs.processes import is_main_process
from monarch_core.runs.schema import refuse_references, to_dataclass
from pde.config.own import OwnConfig
from pde.config.run import PdeConfig
from pde.dataset.own import check_own_grids
from pde.dataset.summary import summarize
from pde.dataset.understanding import Understanding
from pde.models import check_model, check_periods

log = logging.getLogger(__name__)


def understood(raw: DictConfig) -> DictConfig:
    """Return a command with all that its own data say written into it; log a summary.

    Other commands, and those that resume a run, come back as they are.

    Raises:
        ValueError: names everything that is wrong with the command, of data, model and training.
    """
    if raw.get("resume") or raw.dataset.name != "own":
        return raw
    problems: list[str] = []
    complete = raw.copy()
    found: Understanding | None = None
    own = OwnConfig()
    try:
        found = Understanding(to_dataclass(raw.dataset, OwnConfig))
        refuse_references(dataclasses.asdict(found.config), "dataset")  # names in the file, too
        own = found.config
    except ValueError as error:
        problems.append(str(error))
    with open_dict(complete):
        complete.dataset = OmegaConf.structured(own)
    if own.is_understood:
        _keep_modes(complete, own, found.notes if found else [])
    try:
        keys = [str(key) for key in complete if key != "run_dir"]  # where a run is, not what it is
        config = to_dataclass(OmegaConf.masked_copy(complete, keys), PdeConfig)
        if own.is_understood:
            check_own_grids(own, config.evaluation.grids)
            check_periods(config)
            check_model(config)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        numbered = (f"({i}) {problem}" for i, problem in enumerate(problems, 1))
        raise ValueError(problems[0] if len(problems) == 1 else " ".join(numbered))
    if found and is_main_process():
        log.info("%s", summarize(found.fields, own, found.notes))
    return complete


def _keep_modes(complete: DictConfig, own: OwnConfig, notes: list[str]) -> None:
    """Lower the modes of a model to those that the grid holds."""
    model = complete.model
    padding = model.get("domain_padding", 0.0)
    lengths = [n + 2 * round(padding * n) for n in own.points]
    if "time_padding" in model:
        lengths.append(own.n_output_frames + model.time_padding)
    most = min(lengths) // 2
    if model.get("n_modes", 0) > most:
        notes.append(f"{most} modes, all that the grid holds, not {model.n_modes}; model.n_modes=")
        model.n_modes = most
