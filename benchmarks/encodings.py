"""Which encodings each class of transforms can be: `python -m benchmarks.encodings`.

Writes a table, with `--update docs/mri.md --marker encodings` into a document: the distance of the
encoding along ky of a scanner with one error (`data_scripts.mri.scanner`), on 128 x 128, from the
nearest transform of a class, relative in the norm of Frobenius.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from data_scripts.mri.scanner import Scanner
from monarch_core.report.documents import add_destination, deliver, run_command
from monarch_core.transforms import Dense, Fourier, LinearTransform, Monarch, PhasedFourier, regress

N = 128
GROUPS = 32  # of neighbouring columns
SCANNERS = {
    "`trajectory=0.5`": Scanner(trajectory=0.5),
    "`gradient_nonlinearity=2`": Scanner(gradient_nonlinearity=2.0),
    "`eddy_phase=0.6`": Scanner(eddy_phase=0.6),
    "`epi_ghost=0.3`": Scanner(epi_ghost=0.3),
    "`epi_delay=0.3`": Scanner(epi_delay=0.3),
    "`b0_hz=20`": Scanner(b0_hz=20.0),
}
CLASSES: dict[str, Callable[[], LinearTransform]] = {
    "FFT": lambda: Fourier(N, centered=True),
    "phases": lambda: PhasedFourier(N, centered=True),
    "Monarch, rank 1": lambda: Monarch(N),
    "rank 2": lambda: Monarch(N, rank=2),
    "rank 4": lambda: Monarch(N, rank=4),
    "dense": lambda: Dense(N),
    f"rank 4, {GROUPS} groups of columns": lambda: Monarch(N, rank=4, heads=GROUPS),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute and write the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="encodings", description=(__doc__ or "").splitlines()[0])
    add_destination(parser)
    return run_command(parser, lambda options: deliver(table(), (), options), arguments)


def table() -> str:
    """Return a row for each error and a column for each class, as Markdown."""
    lines = [f"| error | {' | '.join(CLASSES)} |", f"| --- |{' ---: |' * len(CLASSES)}"]
    for name, scanner in SCANNERS.items():
        columns = torch.from_numpy(scanner.columns((N, N)))
        cells = [f"{distance(make(), columns):.3f}" for make in CLASSES.values()]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines) + "\n"


@torch.no_grad()
def distance(transform: LinearTransform, columns: Tensor) -> float:
    """Return the distance of an encoding from the nearest transform of a class.

        sqrt(sum_z |A[z] - E[z]|^2 / sum_z |E[z]|^2)

    Args:
        transform: of the class; it becomes the nearest one, unless it has nothing to learn.
        columns: the matrix E[z] of every column of the image, a single one where all are the same.
    """
    E = columns.expand(max(len(columns), transform.heads), -1, -1)
    groups = E.unflatten(0, (transform.heads, -1))
    if any(True for _ in transform.parameters()):
        # the nearest to several matrices is the nearest to their mean
        eye = torch.eye(N, dtype=E.dtype).expand(transform.heads, -1, -1)
        regress(transform, eye, groups.mean(1))
    A = torch.complex(*transform.matrix()).to(E.dtype)
    return float((groups - A[:, None]).norm() / E.norm())


if __name__ == "__main__":
    sys.exit(main())
