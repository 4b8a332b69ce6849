"""PDE files with fields or times that nothing can be learned from."""

import numpy as np
from bad_inputs import BadInput, assert_refused, table
from pde_bad_files import (
    LINE,
    TIMES,
    X,
    edited,
    in_splits,
    load_burgers,
    load_ns,
    mat,
    replaced,
    well,
)
from pde_files import flow, own_burgers, write_groups, write_well

from data_scripts.pde.readers import open_trajectories
from monarch_core.runs import machine


def with_value(value, trajectory, frame, u=None):
    """Return fields of which one frame is something else."""
    u = flow() if u is None else u
    u[trajectory, frame] = value
    return u


def with_twin(first, second):
    u = flow()
    u[second] = u[first]
    return u


CONTENTS = (
    BadInput(
        "complex numbers",
        load_ns(lambda p: well(p, u=(flow() + 1j * flow(seed=1)))),
        ("a.h5", "t0_fields/vorticity is complex (complex64)", "store its real part"),
    ),
    BadInput(
        "complex numbers of MATLAB",
        load_ns(mat(u=(flow() + 1j * flow(seed=1)).transpose(0, 2, 3, 1))),
        ("complex", "a.mat"),
    ),
    BadInput(
        "whole numbers for a field",
        load_ns(lambda p: well(p, u=(100 * flow()).astype(np.int16))),
        ("has type int16", "store float32"),
    ),
    BadInput(
        "truth values for a field",
        load_ns(lambda p: well(p, u=flow() > 0)),
        ("has type bool",),
    ),
    BadInput(
        "NaN",
        load_ns(lambda p: well(p, u=with_value(np.nan, 7, 3))),
        ("NaN or infinity", "trajectory 7, frame 3 (time 2)"),
    ),
    BadInput(
        "more than float32 holds",
        load_ns(lambda p: well(p, u=with_value(1e40, 1, 2, flow().astype(float)))),
        ("values beyond float32", "trajectory 1, frame 2 (time 1.5)"),
    ),
    BadInput(
        "squares beyond float32",
        load_ns(lambda p: well(p, u=1e20 * flow())),
        ("at most", "e+20 in trajectory 0, frame 0", "change the unit"),
    ),
    BadInput(
        "squares below float32",
        load_ns(lambda p: well(p, u=1e-25 * flow())),
        ("at most", "e-25 in trajectory 0, frame 2", "change the unit"),
    ),
    *(
        BadInput(
            f"zeros in the {split} split",
            load_ns(lambda p, n=number: well(p, u=with_value(0, n, slice(None)))),
            ("zero everywhere", f"trajectory {number}, frame 2 (time 1.5)", "Remove them"),
        )
        for split, number in (("training", 2), ("validation", 5), ("test", 7))
    ),
    BadInput(
        "one frame of zeros",
        load_ns(lambda p: well(p, u=with_value(0, 6, 5))),
        ("zero everywhere", "trajectory 6, frame 5 (time 3)", "1 of 2"),
    ),
    BadInput(
        "one value everywhere but for rounding",
        load_ns(lambda p: well(p, u=1 + 1e-9 * flow().astype(float))),
        ("all inputs of the training split have the same value 1",),
    ),
    BadInput(
        "outputs that are all alike",
        load_burgers(
            np.concatenate([LINE[:, :1], 0 * LINE[:, 1:] + 2], 1), t=TIMES, **own_burgers()
        ),
        ("all outputs of the training split have the same value 2",),
    ),
    BadInput(
        "the same trajectory in two splits",
        load_ns(lambda p: well(p, u=with_twin(1, 6))),
        ("trajectory 6 of", "(test)", "trajectory 1 of", "dataset.allow_duplicates=true"),
    ),
    BadInput(
        "the training data as validation data",
        load_ns(
            lambda p: in_splits(p, train=(flow(), {}), valid=(flow(), {}), test=(flow(seed=2), {}))
        ),
        ("2 trajectories are in more than one split", "data/valid", "data/train"),
    ),
    BadInput("no trajectory", load_ns(lambda p: well(p, u=flow()[:0])), ("a.h5 is empty",)),
    BadInput(
        "no frame",
        load_burgers(LINE[:, :0], x=X, t=TIMES[:0], **own_burgers()),
        ("a.hdf5 is empty", "(8, 0, 24)"),
    ),
    *(
        BadInput(f"{name} times", load_ns(mat(u=flow().transpose(0, 2, 3, 1), t=t)), says)
        for name, t, says in (
            ("too few", TIMES[:4], ("6 frames but 4 times", "correct the times")),
            ("too many", np.arange(9.0), ("6 frames but 9 times",)),
            (
                "undefined",
                [1, 2, np.nan, 4, 5, 6],
                ("must be finite and grow, got nan for frame 2",),
            ),
            ("falling", TIMES[::-1], ("got 4 for frame 1 after 5", "correct them")),
            ("equal", [1, 2, 2, 3, 4, 5], ("got 2 for frame 2 after 2",)),
            ("uneven", [1, 2, 3, 4, 5, 9], ("evenly spaced", "4, 5, 9", "frame_spacing")),
        )
    ),
    BadInput(
        "other times in another trajectory",
        load_ns(
            lambda p: edited(
                write_groups(p / "a.h5", flow()),
                replaced("0003/grid/t", lambda f, n: f.create_dataset(n, data=TIMES)),
            )
        ),
        ("the times of 0003 differ from those of 0000",),
    ),
    BadInput(
        "more than the memory holds",
        lambda p: open_trajectories(edited(write_well(p / "a.h5", flow()), lambda f: None)).read(),
        ("8 trajectories of", "GB of memory", "lower n_train"),
    ),
)


@table(*CONTENTS)
def test_fields_that_cannot_be_learned_from_are_refused(case, tmp_path, monkeypatch):
    if "memory" in case.name:
        monkeypatch.setattr(machine, "memory_bytes", lambda: 1000)
    assert_refused(case, tmp_path)
