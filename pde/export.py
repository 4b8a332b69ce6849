"""A finished run as a file for other programs: `python pde/export.py run=DIR out=model.onnx`."""

import logging
import sys
from pathlib import Path

import torch
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.command_line import entry_script
from monarch_core.runs.start import run_to_read
from monarch_core.training.export import check_file, compare, export, format_of
from pde.models import load_model

log = logging.getLogger(__name__)


def export_run(run_dir: Path, out: Path, file_format: str, n_steps: int | None) -> float:
    """Write the model of a run, from physical frames to physical frames, for any batch size.

    Args:
        run_dir: folder of the run; its data are not needed.
        out: file to write.
        file_format: "onnx" or "pt2".
        n_steps: frames that the file predicts; None: as many as the run.

    Returns:
        The largest relative difference between the file and the model, on random frames.

    Raises:
        ValueError: the options do not fit, or the file does not compute what the model computes.
    """
    check_file(out, file_format)
    if n_steps is not None and n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, or null for all, got {n_steps}")
    model, config = load_model(run_dir)
    model.n_steps = n_steps or model.n_steps
    data = config.dataset
    frames = (data.in_channels, *data.points)
    inputs = [model.as_input(torch.randn(n, *frames)) for n in (1, 2, 5)]
    return compare(out, model, export(model, inputs[1], out, file_format), inputs)


@entry_script("../configs", "export")
def main(raw: DictConfig) -> None:
    """Export one run and compare the file with the model."""
    if not raw.out:
        raise ValueError("out has no value; give the file to write, as in out=model.onnx")
    out, run_dir = Path(raw.out).absolute(), run_to_read(raw)
    difference = export_run(run_dir, out, format_of(Path(raw.out), raw.format), raw.n_steps)
    log.info("wrote %s; largest relative difference to the model: %.1e", raw.out, difference)


if __name__ == "__main__":
    main()
