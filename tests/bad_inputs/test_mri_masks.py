"""Sampling masks that cannot be drawn."""

import math

from bad_inputs import BadInput, assert_refused, table

from mri.physics.masks import make_masks

NAN, INF = math.nan, math.inf


def masks(kind, shape, acceleration, seeds=(0,), **options):
    return lambda folder: make_masks(
        kind, shape, acceleration, seeds, cache_dir=folder / "masks", **options
    )


@table(
    BadInput("a kind that is none", masks("radial", (9, 9), 2.0), ("'radial'", "poisson")),
    BadInput("no sample", masks("random", (9, 0), 2.0), ("(9, 0)", "positive number")),
    BadInput("acceleration below one", masks("random", (9, 9), 0.5), ("at least 1", "0.5")),
    BadInput("acceleration of NaN", masks("poisson", (9, 9), NAN), ("at least 1", "nan")),
    BadInput("acceleration of infinity", masks("random", (9, 9), INF), ("at least 1", "inf")),
    BadInput(
        "an acceleration beyond the lines",
        masks("random", (9, 96), 200.0, center_fraction=0),
        ("acceleration 200", "less than one of 96", "lower one"),
    ),
    BadInput(
        "an acceleration between two numbers of lines",
        masks("equispaced", (9, 96), 64.0, center_fraction=0),
        ("64x", "1 make 96x and 2 make 48x", "use one of these"),
    ),
    BadInput(
        "a centre that is the whole mask",
        masks("random", (9, 96), 8.0, center_fraction=0.2),
        ("19 central lines of 96", "12.0 lines of a 8x", "center_fraction below 0.125"),
    ),
    BadInput(
        "a centre of less than nothing",
        masks("random", (9, 96), 2.0, center_fraction=-0.1),
        ("center_fraction", "-0.1", "from 0 to below 1"),
    ),
    BadInput(
        "a negative seed", masks("random", (9, 96), 2.0, [3, -1]), ("seeds", "-1", "count from 0")
    ),
    BadInput(
        "a Poisson disc on a line",
        masks("poisson", (1, 64), 2.0, calibration=0),
        ("two axes", "(1, 64)", "equispaced or random"),
    ),
    BadInput(
        "a negative calibration",
        masks("poisson", (40, 36), 2.0, calibration=-1),
        ("calibration", "-1", "from 0 to 35"),
    ),
    BadInput(
        "a calibration as wide as the grid",
        masks("poisson", (90, 12), 2.0, calibration=12),
        ("calibration", "12", "from 0 to 11", "(90, 12)"),
    ),
    BadInput(
        "a calibration that is more than the mask",
        masks("poisson", (40, 36), 8.0, calibration=20),
        ("20 x 20 centre", "acceleration 8", "3.6"),
    ),
    BadInput(
        "a Poisson mask denser than its discs",
        masks("poisson", (40, 36), 1.2, calibration=4),
        ("acceleration 1.2", "between 1.7", "change the acceleration"),
    ),
)
def test_masks(case, tmp_path):
    assert_refused(case, tmp_path)
