"""Images that MRI metrics cannot measure, and choices of metrics that cannot be."""

import math

import numpy as np
from bad_inputs import BadInput, assert_refused, table

from mri.metrics.presets import PRESETS, Choice
from mri.metrics.volumes import nmse, psnr, ssim, volume_metrics

NAN, INF = math.nan, math.inf


def volume(**changed):
    """Return a volume of ones (2, 12, 13), with changed places, as `place=value`."""
    values = np.ones((2, 12, 13), np.complex64)
    values[1, 2, 3] = changed.get("spot", 1)
    return values


def measure(prediction, target, preset="meddlr_2d"):
    return volume_metrics(prediction, target, PRESETS[preset])


@table(
    BadInput(
        "NaN in the reconstruction",
        lambda: measure(volume(spot=NAN), volume()),
        ("reconstruction holds", "in 1 of", "slice 1, row 2, column 3", "NaN", "diverged"),
    ),
    BadInput(
        "infinity in the reconstruction",
        lambda: measure(volume(spot=INF), volume(), "fastmri"),
        ("reconstruction holds", "slice 1, row 2, column 3", "diverged"),
    ),
    BadInput(
        "NaN in the target",
        lambda: measure(volume(), volume(spot=NAN)),
        ("target holds", "slice 1, row 2, column 3", "leave this scan out"),
    ),
    BadInput(
        "a target without signal",
        lambda: measure(volume(), 0 * volume()),
        ("no signal", "leave this scan or echo out"),
    ),
    BadInput(
        "a reconstruction far beyond the target",
        lambda: measure(1e30 * volume(), volume(), "fastmri"),
        ("beyond what floating-point numbers hold", "diverged"),
    ),
    BadInput(
        "shapes that would broadcast",
        lambda: measure(volume()[:1], volume()),
        ("(1, 12, 13)", "(2, 12, 13)", "equal shapes"),
    ),
    BadInput(
        "echoes together",
        lambda: psnr(volume()[None], volume()[None], Choice()),
        ("(1, 2, 12, 13)", "once per echo"),
    ),
    BadInput(
        "no slice",
        lambda: nmse(volume()[:0], volume()[:0], Choice()),
        ("(0, 12, 13)", "none of them zero"),
    ),
    BadInput(
        "a real target against a complex image",
        lambda: measure(volume(), volume().real),
        ("complex64", "float32", "no phase", "domain='magnitude'"),
    ),
    BadInput(
        "labels as an image",
        lambda: ssim(volume() == 1, volume() == 1, Choice()),
        ("dtype bool", "real or complex"),
    ),
    BadInput(
        "one slice reproduced exactly",
        lambda: psnr(
            volume() * np.array([1, 2])[:, None, None], volume(), Choice(unit="slice", peak="slice")
        ),
        ("slice 0", "infinite", "unit='volume'"),
    ),
    BadInput("a domain that is none", lambda: Choice("real"), ("domain", "'real'", "magnitude")),
    BadInput("a window that is none", lambda: Choice(window="gauss7"), ("window", "'gauss7'")),
    BadInput("a peak of NaN", lambda: Choice(peak=NAN), ("peak", "nan", "positive number")),
    BadInput("a peak of zero", lambda: Choice(peak=0), ("peak", "got 0", "positive number")),
    BadInput(
        "a volume with the peak of a slice",
        lambda: Choice(unit="volume", peak="slice"),
        ("peak='slice'", "use peak='volume' or unit='slice'"),
    ),
)
def test_metrics(case):
    assert_refused(case)
