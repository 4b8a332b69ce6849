"""A file is read as what it is: equation, domain, boundary, units, and the splits made of it."""

import logging
import math

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from pde_files import (
    GRID,
    N,
    burgers,
    darcy,
    flow,
    navier_stokes,
    own_burgers,
    write_darcy,
    write_groups,
    write_matlab,
    write_matlab_hdf5,
    write_reversed,
    write_tensor,
    write_well,
)

from data_scripts.pde.burgers_solver import BurgersSolver, initial_periodic, to_grid
from data_scripts.pde.readers import open_trajectories
from pde.dataset.splits import load_splits

NU = 0.3  # of PDEBench


def solve(u, viscosity, length=1.0, time=1.0):
    """Return the solution of our equation after some time, from fields on a periodic grid."""
    solver = BurgersSolver(96, viscosity, length=length)
    u_hat = torch.fft.rfft(torch.as_tensor(u, dtype=torch.float64), norm="forward")
    return to_grid(solver.advance(u_hat, time), u.shape[-1])


@pytest.fixture
def pdebench(tmp_path):
    """A file of PDEBench, solved in its own convention: Nu / pi, on (-1, 1), cell centres."""
    first = to_grid(initial_periodic([(7, i) for i in range(N)], 8), 48)
    frames = [first, *(solve(first, NU / math.pi, 2.0, t) for t in (0.5, 1.0))]
    return write_tensor(
        tmp_path / f"1D_Burgers_Sols_Nu{NU}.hdf5",
        torch.stack(frames, 1).float().numpy(),
        x=-1 + (np.arange(48) + 0.5) / 24,
        t=np.arange(4) * 0.5,
        Nu=NU,
    )


def test_what_pdebench_solved_solves_our_equation_once_read(pdebench):
    viscosity = NU / (4 * math.pi)
    splits = load_splits(burgers(pdebench, grid=48, viscosity=viscosity))
    solved = solve(splits.train.past[:, 0], viscosity)
    torch.testing.assert_close(splits.train.future[:, 0].double(), solved, rtol=0, atol=1e-5)
    assert open_trajectories(pdebench).viscosity == pytest.approx(viscosity)


def test_other_readings_of_a_pdebench_file_are_no_solutions_of_our_equation(pdebench):
    splits = load_splits(burgers(pdebench, grid=48, convention="own", viscosity=NU))
    future = splits.train.future[:, 0].double()
    for viscosity in (NU, NU / math.pi):
        wrong = solve(splits.train.past[:, 0], viscosity)
        assert (wrong - future).norm() > 0.3 * future.norm()


def test_pdebench_s_convention_can_be_said_where_the_file_does_not_show_it(pdebench):
    expected = load_splits(burgers(pdebench, grid=48, viscosity=NU / (4 * math.pi)))
    with h5py.File(pdebench, "a") as file:
        del file["x-coordinate"]
    with pytest.raises(ValueError, match=r"dataset\.convention=pdebench"):
        load_splits(burgers(pdebench, grid=48, viscosity=NU / (4 * math.pi)))
    said = burgers(pdebench, grid=48, viscosity=NU / (4 * math.pi), convention="pdebench")
    torch.testing.assert_close(load_splits(said).test.frames, expected.test.frames)


def test_darcy_of_another_force_is_that_of_force_one_once_read(tmp_path):
    a, u = 3 + np.abs(flow(grid=(GRID + 1,) * 2)[:, 0]), flow(grid=(GRID + 1,) * 2)[:, 1]
    path = write_darcy(tmp_path / "2D_DarcyFlow_beta100.0_Train.hdf5", a, 100 * u, beta=100.0)
    splits = load_splits(darcy(path, grid=GRID + 1))
    np.testing.assert_allclose(splits.train.future[:, 0], u[:4], rtol=1e-6)
    np.testing.assert_array_equal(splits.train.past[:, 0], a[:4])


def well_with_everything(path, u):
    """A file in the full layout of The Well."""
    write_well(path, u, dataset_name="navier_stokes", grid_type="cartesian", viscosity=1e-3)
    with h5py.File(path, "a") as file:
        for axis, n in zip("xy", u.shape[2:], strict=True):
            file[f"dimensions/{axis}"] = np.arange(n, dtype=np.float32) / n
            file.create_group(f"boundary_conditions/{axis}").attrs["bc_type"] = "PERIODIC"
        file["scalars/viscosity"] = np.float32(1e-3)
        file["scalars/forcing_amplitude"] = np.float32(0.1)
    return path


def big_endian_integers_for_the_coefficient(path):
    a = np.where(flow()[:, 0] > 0, 12, 3)
    return write_darcy(path, a.astype(">i2"), flow()[:, 1].astype(">f8"), beta=1.0)


def groups_with_soft_links(path):
    write_groups(path, flow())
    with h5py.File(path, "a") as file:
        file.move("0001/data", "elsewhere")
        file["0001/data"] = h5py.SoftLink("/elsewhere")
    return path


TIMES = np.arange(6.0)
ODD = flow(grid=(15, 15))
SOUND = {
    "Li, classic": lambda p: navier_stokes(write_matlab(p / "ns_V1e-3_N8_T6.mat", flow())),
    "Li, v7.3": lambda p: navier_stokes(
        write_matlab_hdf5(p / "NavierStokes_V1e-3_N8_T6.mat", flow(), t=np.arange(1.0, 7))
    ),
    "Li, as many points as frames": lambda p: navier_stokes(
        write_matlab(p / "a.mat", flow(grid=(6, 6))), grid=6
    ),
    "Li, Burgers": lambda p: burgers(
        write_reversed(
            p / "burgers_data_R10.mat", a=flow(grid=(24,))[:, 0], u=flow(grid=(24,))[:, 1]
        )
    ),
    "Li, Darcy": lambda p: darcy(
        write_reversed(p / "b.mat", coeff=1 + flow()[:, 0] ** 2, sol=flow()[:, 1])
    ),
    "a version in the name": lambda p: navier_stokes(write_matlab(p / "flow_v2.mat", flow())),
    "The Well in full": lambda p: navier_stokes(well_with_everything(p / "a.hdf5", flow())),
    "The Well, an odd grid": lambda p: navier_stokes(
        well_with_everything(p / "a.hdf5", ODD), grid=5
    ),
    "The Well, a box that is no square of points": lambda p: navier_stokes(
        well_with_everything(p / "a.hdf5", flow(grid=(12, 24)))
    ),
    "PDEBench 2-D on one's word": lambda p: navier_stokes(
        groups_with_soft_links(p / "a.h5"), convention="own"
    ),
    "a density on one's word": lambda p: navier_stokes(
        write_well(p / "a.h5", flow(), name="density"), convention="own"
    ),
    "ours": lambda p: burgers(
        write_tensor(p / "a.hdf5", flow(grid=(24,)), x=np.arange(24) / 24, t=TIMES, **own_burgers())
    ),
    "ours, as older files have it": lambda p: burgers(
        write_tensor(
            p / "1D_Burgers_Sols_Nu0.1.hdf5", flow(grid=(24,)), t=TIMES, Nu=0.1, **own_burgers()
        )
    ),
    "ours, both ends": lambda p: burgers(
        write_tensor(
            p / "a.hdf5",
            flow(grid=(25,)),
            x=np.arange(25) / 24,
            t=TIMES,
            **own_burgers("burgers_dirichlet"),
        ),
        name="burgers_dirichlet",
    ),
    "big-endian, whole numbers": lambda p: darcy(
        big_endian_integers_for_the_coefficient(p / "a.h5")
    ),
    "half precision": lambda p: navier_stokes(write_well(p / "a.h5", flow().astype(np.float16))),
    "uneven times between one input and one output": lambda p: burgers(
        write_tensor(
            p / "a.hdf5", flow(grid=(24,)), t=np.array([0, 1, 3, 7, 8, 8.5]), **own_burgers()
        ),
        final_time=7.0,
    ),
    "uneven times, even ones used": lambda p: navier_stokes(
        write_well(p / "a.h5", flow(), times=np.array([1, 2, 3, 4, 5, 9.0])),
        n_output_frames=3,
    ),
    "a fluid at rest at first": lambda p: burgers(
        write_tensor(
            p / "a.hdf5",
            np.concatenate(
                [np.zeros((N, 1, 24)) + 1e-3 * flow(grid=(24,))[:, :1], flow(grid=(24,))[:, 1:]], 1
            ),
            t=TIMES,
            **own_burgers(),
        )
    ),
}


@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_sound_files_are_accepted(tmp_path, make):
    splits = load_splits(make(tmp_path))
    assert splits.sizes == {"train": 4, "valid": 2, "test": 2}
    assert splits.train.frames.abs().max() > 0.1


def test_a_viscosity_that_no_file_states_is_said_to_be_taken_from_the_config(tmp_path, caplog):
    path = write_matlab(tmp_path / "a.mat", flow())
    with caplog.at_level(logging.WARNING):
        load_splits(navier_stokes(path, viscosity=2e-4))
    assert "does not state its viscosity; results will say dataset.viscosity=0.0002" in caplog.text
    assert len(caplog.records) == 1
    caplog.clear()
    load_splits(navier_stokes(write_matlab(tmp_path / "ns_V1e-3_N8.mat", flow())))
    assert caplog.text == ""


def test_half_precision_is_told(tmp_path, caplog):
    path = write_well(tmp_path / "a.h5", flow().astype(np.float16), viscosity=1e-3)
    with caplog.at_level(logging.WARNING):
        load_splits(navier_stokes(path))
    assert "holds half precision: 3 digits" in caplog.text


def test_a_name_can_be_wrong_but_not_an_attribute(tmp_path):
    named = write_matlab(tmp_path / "ns_V1e-5_N8.mat", flow())
    with pytest.raises(ValueError, match=r"1e-05 by its name.* dataset\.convention=own"):
        load_splits(navier_stokes(named))
    load_splits(navier_stokes(named, convention="own"))
    stated = write_well(tmp_path / "a.h5", flow(), viscosity=1e-5)
    with pytest.raises(ValueError, match=r"has viscosity 1e-05, but dataset.viscosity=0\.001"):
        load_splits(navier_stokes(stated, convention="own"))
    load_splits(navier_stokes(stated, viscosity=1e-5))


def test_time_that_comes_second_is_seen_in_the_values(tmp_path):
    u = flow(n_frames=GRID)
    right = write_matlab(tmp_path / "right.mat", u)
    load_splits(navier_stokes(right))
    scipy.io.savemat(tmp_path / "wrong.mat", {"u": u})
    with pytest.raises(ValueError, match=r"store u\.transpose\(0, 2, 3, 1\)"):
        load_splits(navier_stokes(tmp_path / "wrong.mat"))
    load_splits(navier_stokes(tmp_path / "wrong.mat", convention="own"))


def test_duplicates_within_a_split_are_told_and_across_splits_can_be_accepted(tmp_path, caplog):
    u = flow()
    u[1] = u[0]
    with caplog.at_level(logging.WARNING):
        load_splits(navier_stokes(write_matlab(tmp_path / "a_V1e-3.mat", u)))
    assert "1 trajectories are there more than once: trajectory 1 of" in caplog.text
    u = flow()
    u[-1] = u[0]
    path = write_matlab(tmp_path / "b_V1e-3.mat", u)
    with pytest.raises(ValueError, match="in more than one split"):
        load_splits(navier_stokes(path))
    splits = load_splits(navier_stokes(path, allow_duplicates=True))
    torch.testing.assert_close(splits.test.frames[-1], splits.train.frames[0])


def test_fingerprints_are_of_the_frames_whatever_file_they_come_from(tmp_path):
    first = load_splits(navier_stokes(write_matlab(tmp_path / "a.mat", flow()))).fingerprints
    again = load_splits(
        navier_stokes(write_well(tmp_path / "b.h5", flow().astype(float)))
    ).fingerprints
    other = flow()
    other[-1, 3, 2, 1] += 1e-3
    changed = load_splits(navier_stokes(write_matlab(tmp_path / "c.mat", other))).fingerprints
    assert set(first) == {"train", "valid", "test"}
    assert first == again
    assert {split for split in first if first[split] != changed[split]} == {"test"}
