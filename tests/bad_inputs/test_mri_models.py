"""MRI models, solvers and losses that cannot be what was meant."""

import math
from functools import partial

import torch
from bad_inputs import BadInput, assert_refused, table
from mri_scans import GRID

from monarch_core.transforms import Fourier
from mri.config.model import MODELS
from mri.metrics.losses import find_loss
from mri.models import build_model
from mri.physics.axis_transforms import axis_transforms
from mri.physics.conjugate_gradient import conjugate_gradient
from mri.physics.encoding import check_measurement

NAN = math.nan
ones = partial(torch.ones, dtype=torch.complex64)


def model(name, grid=GRID, **options):
    return lambda: build_model(MODELS[name](**options), partial(axis_transforms, Fourier), grid)


def measurement(**changed):
    """Return what checks the data of one reconstruction, after parts of them were changed."""
    parts = {
        "kspace": ones(1, 1, 3, *GRID),
        "maps": ones(1, 3, *GRID),
        "mask": torch.ones(1, *GRID),
    }
    return lambda: check_measurement(**{**parts, **changed}, kspace_grid=GRID, image_grid=GRID)


def loss(name, prediction, target):
    return lambda: find_loss(name)(prediction, target)


@table(
    BadInput("no candidate", model("cg_sense", candidates=[]), ("candidates", "at least one")),
    BadInput(
        "a candidate of NaN",
        model("l1_wavelet", candidates=[NAN]),
        ("model.candidates", "nan", "from 0"),
    ),
    BadInput(
        "a negative candidate",
        model("cg_sense", candidates=[-0.1]),
        ("model.candidates", "-0.1", "from 0"),
    ),
    BadInput(
        "no iteration", model("cg_sense", n_iterations=0), ("n_iterations", "got 0", "from 1")
    ),
    BadInput(
        "iterations for days",
        model("l1_wavelet", n_iterations=10**5),
        ("n_iterations", "100000", "10 to 100"),
    ),
    BadInput(
        "negative iterations of a cascade",
        model("unrolled", data_consistency="cg", n_iterations=-3),
        ("n_iterations", "got -3", "from 1"),
    ),
    BadInput("no cascade", model("unrolled", n_cascades=0), ("n_cascades", "got 0", "from 1")),
    BadInput(
        "poolings deeper than the image",
        model("unet", n_pools=5),
        ("17 x 12", "5 poolings", "fewer poolings (n_pools)"),
    ),
    BadInput(
        "poolings beyond all memory",
        model("unet", n_pools=30),
        ("17 x 12", "30 poolings", "fewer poolings (n_pools)"),
    ),
    BadInput(
        "no channel", model("unet", n_channels=0, n_pools=2), ("n_channels", "got 0", "from 1")
    ),
    BadInput(
        "a weight of NaN",
        lambda: conjugate_gradient(lambda x: x, ones(3, 4), NAN, 2),
        ("lamda", "nan", "1e-3 to 1e-1"),
    ),
    BadInput(
        "k-space without its imaginary part",
        measurement(kspace=torch.ones(1, 1, 3, *GRID)),
        ("complex", "torch.float32", "another measurement"),
    ),
    BadInput(
        "maps of fewer coils",
        measurement(maps=ones(1, 2, *GRID)),
        ("3 coils", "maps have 2", "same coils"),
    ),
    BadInput(
        "a mask of another grid", measurement(mask=torch.ones(1, 12, 17)), ("12 x 17", "17 x 12")
    ),
    BadInput(
        "a loss that would broadcast",
        loss("l2", ones(2, 1, 3), ones(2, 3)),
        ("(2, 1, 3)", "(2, 3)", "one shape"),
    ),
    BadInput("a loss of nothing", loss("l1", ones(0, 3), ones(0, 3)), ("(0, 3)", "not empty")),
    BadInput(
        "a loss of real images",
        loss("l2", torch.ones(2, 3), torch.ones(2, 3)),
        ("torch.float32", "complex", ".to(torch.complex64)"),
    ),
    BadInput(
        "a loss against a real target",
        loss("l1_magnitude", ones(2, 3), torch.ones(2, 3)),
        ("torch.complex64", "torch.float32", ".to(torch.complex64)"),
    ),
)
def test_models_and_losses(case):
    assert_refused(case)
