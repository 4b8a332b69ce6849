"""The encoding that a calibration found, for every reconstruction to use."""

import logging
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.schema import load_config
from monarch_core.training.checkpoint import load_weights, save_weights
from monarch_core.training.devices import describe_device, peak_memory_bytes
from monarch_core.transforms import LinearTransform, regress
from mri.config.run import MriConfig
from mri.models import model_of_run
from mri.physics.axis_transforms import AxisTransforms
from mri.physics.calibration import KnownScan, calibrate

# Relative distance from what was found that a transform of another kind may have.
_SAME = 1e-3

log = logging.getLogger(__name__)


def calibrate_model(model: nn.Module, scan: KnownScan, held_out: KnownScan, run_dir: Path) -> None:
    """Calibrate the encoding of a model and leave its files as `fit` does.

    The log has one line, with the relative residuals of both scans in place of losses.

    Args:
        model: with one encoding; changed in place.
        scan: to learn from.
        held_out: of another object.
        run_dir: receives weights and log.

    Raises:
        ValueError: as `calibrate`, or the model has no encoding.
    """
    pairs = [pair for pair in _pairs(model) if not pair.inverse]
    if len(pairs) != 1:
        raise ValueError(
            f"a calibration needs a model with one encoding, got {len(pairs)}; use model=cg_sense"
        )
    (encoding,) = pairs
    log.info("the object covers %.0f %% of the pixels", 100 * scan.coverage)
    log.info("residual, held out, before: %.4g", held_out.residual(encoding))
    folder, cpu = RunFolder(run_dir), torch.device("cpu")
    start = time.perf_counter()
    residual = calibrate(encoding, scan, held_out)
    seconds = time.perf_counter() - start
    log.info("residual, held out, after: %.4g (%.1f s)", residual, seconds)
    save_weights(folder.weights, model)
    folder.log.truncate(last_epoch=-1)
    folder.log.append(
        {
            "epoch": 0,
            "train_loss": scan.residual(encoding),
            "valid_error": residual,
            "seconds": seconds,
            "valid_seconds": 0.0,
            "peak_memory_bytes": peak_memory_bytes(cpu),
            "device": describe_device(cpu),
        }
    )


def load_encoding(run_dir: Path, grid: tuple[int, int]) -> AxisTransforms:
    """Return the encoding, image to k-space, that a run holds, with its adjoint.

    Args:
        run_dir: of `mri/calibrate.py`, or of any run whose model has learned an encoding.
        grid: height and width in pixels, those of the run.

    Raises:
        ValueError: no such run, one without an encoding or without weights, or of another grid.
    """
    return _load_encoding(load_config(run_dir, MriConfig), run_dir, grid)


def _load_encoding(config: MriConfig, run_dir: Path, grid: tuple[int, int]) -> AxisTransforms:
    model = model_of_run(run_dir, config, grid)
    found = [pair for pair in _pairs(model) if not pair.inverse]
    if not found:
        raise ValueError(
            f"calibration={run_dir} holds model={config.model.name}, which has no encoding from "
            "image to k-space; give a run of mri/calibrate.py"
        )
    try:
        load_weights(RunFolder(run_dir).weights, model)
    except ValueError as error:
        raise ValueError(
            f"calibration={run_dir} gives no encoding of {grid[0]} x {grid[1]} pixels: {error} A "
            "calibration holds for one grid; calibrate on scans of that one."
        ) from error
    return found[0].requires_grad_(False)


@torch.no_grad()
def start_at_calibration(model: nn.Module, config: MriConfig, grid: tuple[int, int]) -> None:
    """Set every transform of a model to the encoding of `config.calibration`, if there is one.

    Transforms from k-space to image get its adjoint. One of another kind than that of the
    calibration is accepted where it can be the same.

    Raises:
        ValueError: as `load_encoding`; or the model has a transform that cannot hold what is there.
    """
    if config.calibration is None:
        return
    there = load_config(Path(config.calibration), MriConfig)
    encoding = _load_encoding(there, Path(config.calibration), grid)
    for pair in _pairs(model):
        for name in ("along_height", "along_width"):
            A = torch.complex(*getattr(encoding, name).matrix()).to(torch.complex128)
            wrong = _set(getattr(pair, name), A.mH.resolve_conj() if pair.inverse else A)
            if wrong is not None:
                asked = {key: getattr(there.transform, key) for key in ("kind", "rank", "heads")}
                if pair.inverse:  # the adjoint of a Monarch matrix may be none of its rank
                    asked |= {"kind": "dense", "rank": None}
                words = " ".join(f"transform.{key}={value}" for key, value in asked.items())
                raise ValueError(
                    f"transform={config.transform.name} cannot be what calibration="
                    f"{config.calibration} found{wrong}; use transform=calibrated "
                    f"{words.replace('None', 'null')}"
                )
    log.info("the encoding is that of %s", config.calibration)


def _set(transform: LinearTransform, A: Tensor) -> str | None:
    """Set a transform to matrices; return how far it is from them if it cannot hold them."""
    if transform.heads != len(A) or not any(True for _ in transform.parameters()):
        return ""
    regress(transform, torch.eye(A.shape[-1], dtype=A.dtype).expand(len(A), -1, -1), A)
    distance = float((torch.complex(*transform.matrix()) - A).norm() / A.norm())
    return f" (relative distance {distance:.2g})" if distance > _SAME else None


def _pairs(model: nn.Module) -> list[AxisTransforms]:
    return [module for module in model.modules() if isinstance(module, AxisTransforms)]
