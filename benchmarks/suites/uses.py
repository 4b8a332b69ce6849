"""What the applications do with transforms: SENSE of one slice, and the data of a flow."""

from benchmarks import applications
from benchmarks.options import Options
from benchmarks.rows import Row, compared

SLICES = ((512, 160), (320, 320))


def sense(options: Options) -> list[Row]:
    """Zero-filled SENSE, and the data-consistency step with its gradient, of one slice, 8 coils."""
    rows = []
    for grid in SLICES:
        for name, make in (
            ("zero-filled", applications.zero_filled_sense),
            ("data consistency, training", applications.data_consistency),
        ):
            facts = {"grid": list(grid), "coils": 8, "pass": name}
            rows += compared(facts, make(grid, coils=8, device=options.device), options)
    return rows


def data(_: Options) -> list[Row]:
    """Seconds per Navier-Stokes trajectory of 50 time units: the published recipe, and ours."""
    seconds = applications.navier_stokes_seconds(1e-3, 64)
    return [{"contender": name, "seconds": value} for name, value in seconds.items()]
