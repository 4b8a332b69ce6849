"""Scans are read alike from every format, in parts, and refused with a remedy."""

import h5py
import numpy as np
import pytest
import scipy.io
from mri_files import FORMATS, GRID, N_COILS, lines_mask, undersampled, write_format
from mri_sources import header_xml, kspace_lines, write_cfl, write_ismrmrd

from data_scripts.mri.formats import ReadOptions, open_measured


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_slices(kind, tmp_path):
    kspace = undersampled()
    with open_measured(*write_format(tmp_path, kind, kspace)) as scan:
        assert scan.shape.arrays["kspace"] == (2, 1, N_COILS, *GRID)
        for index in (1, 0):
            found = scan.read(index)
            assert found.dtype == np.complex64
            np.testing.assert_allclose(found[0], kspace[index], rtol=1e-5, atol=1e-6)
        assert (scan.mask is not None) == (kind == "fastmri")
        if kind == "fastmri":
            np.testing.assert_array_equal(scan.mask, np.broadcast_to(lines_mask(), GRID))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes", ["coil x y z", "z y x coil", "y coil z x"])
def test_volumes_of_any_order_become_hybrid_slices(order, axes, tmp_path, monkeypatch):
    monkeypatch.setattr("data_scripts.mri.measured.CHUNK_BYTES", 3 * 8 * 2 * 7 * 6)
    monkeypatch.setattr("data_scripts.mri.arrays._BLOCK_BYTES", 8 * 2 * 10 * 6)
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((2, 10, 7, 6, 2)) @ (1, 1j)).astype(np.complex64)
    names = axes.split()
    stored = values.transpose([["coil", "x", "y", "z"].index(name) for name in names])
    np.save(tmp_path / "a.npy", np.asarray(stored, order=order))
    options = ReadOptions(axes=names, oversampling=1.25)
    images = np.fft.ifft(np.fft.ifftshift(values, 1), axis=1, norm="ortho")
    hybrid = np.fft.fftshift(images, 1)[:, 1:9]
    with open_measured(tmp_path / "a.npy", options) as scan:
        assert scan.shape.arrays["kspace"] == (8, 1, 2, 7, 6)
        assert scan.hybrid_axes == "x"
        for index in (4, 0, 1, 7):
            np.testing.assert_allclose(scan.read(index)[0], hybrid[:, index], atol=1e-5)


REFUSED = (
    ("a.dcm", lambda path: path.write_bytes(b"x"), {}, "none of the endings"),
    ("b.npy", lambda path: np.save(path, np.ones((3, 4, 5), "<U3")), {}, "<U3 of shape"),
    ("c.npy", lambda path: np.save(path, np.ones(3, complex)), {}, r"name each of them"),
    ("d.npy", lambda path: np.save(path, np.ones((3, 4, 5), complex)), {"axes": ["x", "x", "y"]},
     "name each of them"),
    ("e.npy", lambda path: np.save(path, np.ones((3, 4), complex)), {"axes": ["x", "coil"]},
     "lacks x or y"),
    ("f.npy", lambda path: np.save(path, np.ones((3, 4), complex)), {"group": "a"},
     "is read without it"),
    ("g.npy", lambda path: np.save(path, np.ones((3, 4), complex)), {"oversampling": 0.5},
     "from 1 .none. to 16, got 0.5"),
    ("h.mat", lambda path: scipy.io.savemat(path, {"a": np.eye(3), "b": np.eye(4)}), {},
     "say which is k-space with read.name=NAME"),
    ("i.h5", lambda path: h5py.File(path, "w").create_group("images").file.close(), {},
     "holds nothing, but neither kspace"),
    ("j.h5", lambda path: h5py.File(path, "w").update(
        {"a/b": np.ones((2, 3)), "c": np.ones((2, 3))}), {},
     r"holds c \(2, 3\), a/b \(2, 3\); say which is k-space with read.name=NAME"),
    ("m.h5", lambda path: write_ismrmrd(path, header_xml(8, 6, 1, (8, 6, 1), 5, 3),
        kspace_lines(np.ones((1, 8, 6)))), {"group": "scan"}, "dataset, but .* scan/data"),
    ("n.h5", lambda path: h5py.File(path, "w").update({"kspace": np.ones((2, 3, 4))}),
     {"axes": ["x", "y", "coil"]}, "leave it out, or name the array with read.name=NAME"),
    ("o.h5", lambda path: h5py.File(path, "w").update({"a": np.full((2, 3), b"x")}), {},
     "holds no arrays; say which"),
    ("p.h5", lambda path: h5py.File(path, "w").update({"a": np.full((2, 3), b"x")}),
     {"name": "a"}, "where numbers are expected"),
    ("q.h5", lambda path: h5py.File(path, "w").update({"a": h5py.ExternalLink("b.h5", "/a")}),
     {"name": "a"}, "is a link into another file"),
    ("r.h5", lambda path: h5py.File(path, "w").update({"kspace": h5py.SoftLink("/gone")}), {},
     "is a link to /gone, where there is nothing"),
    ("l.h5", lambda path: h5py.File(path, "w").update({"kspace": np.ones((2, 1, 2, 3, 4))}), {},
     "is named with read.name=kspace read.axes"),
    ("k.h5", lambda path: write_ismrmrd(path, header_xml(8, 6, 1, (8, 6, 1), 5, 3).replace(
        "cartesian", "radial"), kspace_lines(np.ones((1, 8, 6)))), {}, "radial; .*mrpro, deepinv"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "make", "options", "message"), REFUSED, ids=[r[0] for r in REFUSED]
)
def test_what_cannot_be_read_is_refused_with_a_remedy(name, make, options, message, tmp_path):
    make(tmp_path / name)
    with (
        pytest.raises(ValueError, match=message),
        open_measured(tmp_path / name, ReadOptions(**options)),
    ):
        pass


def test_names_in_groups_are_found_as_other_programs_write_them(tmp_path):
    kspace = undersampled(1)[0]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw/ksp"] = kspace
        file["aside"] = h5py.SoftLink("/raw")  # a group is listed once, under its first name
    for name in ("raw/ksp", "/raw/ksp", "aside/ksp"):
        with open_measured(tmp_path / "a.h5", ReadOptions(name=name)) as scan:
            np.testing.assert_allclose(scan.read(0)[0], kspace, rtol=1e-6)


def test_of_a_file_of_matlab_structures_are_read_by_name_alone(tmp_path):
    kspace = undersampled(1)[0].transpose(1, 2, 0)
    pairs = np.zeros(kspace.T.shape, [("real", "<f4"), ("imag", "<f4")])
    pairs["real"], pairs["imag"] = kspace.T.real, kspace.T.imag
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["ksp"] = pairs
        file["hdr/ksp"] = pairs[:, ::-1]
        file["#refs#/a"] = np.eye(3)
        file["cells"] = np.full((2, 2), file["ksp"].ref, h5py.ref_dtype)
    with open_measured(tmp_path / "a.mat") as scan:
        np.testing.assert_allclose(scan.read(0)[0], kspace.transpose(2, 0, 1), rtol=1e-6)
    with open_measured(tmp_path / "a.mat", ReadOptions(name="hdr/ksp")) as scan:
        np.testing.assert_allclose(scan.read(0)[0], kspace.transpose(2, 0, 1)[..., ::-1], rtol=1e-6)


def test_what_is_not_read_beside_a_named_array_is_said(tmp_path, caplog):
    path, _ = write_format(tmp_path, "fastmri", undersampled())
    with open_measured(path, ReadOptions(name="kspace")):
        assert "with read.name its mask is not read" in caplog.text


def test_axes_that_nobody_named_are_said(tmp_path, caplog):
    kspace = np.ones((5, 7, 4), np.complex64)
    np.save(tmp_path / "a.npy", kspace)
    scipy.io.savemat(tmp_path / "a.mat", {"k": kspace})
    taken = {"a.npy": "coil 5, x 7, y 4", "a.mat": "x 5, y 7, coil 4"}
    for name, axes in taken.items():
        with open_measured(tmp_path / name):
            assert f"{name}: its axes were taken for {axes}, as nothing names them" in caplog.text
        caplog.clear()
        with open_measured(tmp_path / name, ReadOptions(axes=["slice", "x", "y"])) as scan:
            assert (scan.shape.n_slices, scan.shape.n_coils) == (5, 1)
        np.save(tmp_path / "one.npy", kspace[0])
        with open_measured(tmp_path / "one.npy"):
            assert not caplog.text


def test_a_missing_file_is_named(tmp_path):
    with (
        pytest.raises(ValueError, match=r"none\.h5 does not exist"),
        open_measured(tmp_path / "none.h5"),
    ):
        pass


def test_a_value_that_is_not_finite_is_placed_in_the_volume(tmp_path):
    values = np.ones((2, 10, 7, 6), np.complex64)
    values[1, 3, 4, 5] = np.nan
    np.save(tmp_path / "a.npy", values)
    options = ReadOptions(axes=["coil", "x", "y", "z"])
    with (
        open_measured(tmp_path / "a.npy", options) as scan,
        pytest.raises(ValueError, match="echo 0, coil 1, kx 3, ky 4, kz 5"),
    ):
        scan.read(0)


def test_a_slice_in_the_second_and_third_dimension_of_bart_is_one(tmp_path):
    kspace = undersampled(1)[0]
    write_cfl(tmp_path / "a", kspace.transpose(1, 2, 0)[None])
    with open_measured(tmp_path / "a.hdr") as scan:
        assert scan.shape.arrays["kspace"] == (1, 1, N_COILS, *GRID)
        np.testing.assert_allclose(scan.read(0)[0], kspace, atol=1e-6)
        assert scan.findings() == []


def test_spokes_are_no_axis_and_named_with_what_to_use(tmp_path):
    spoke = np.exp(-np.abs(np.arange(40) - 20) / 3)
    write_cfl(tmp_path / "a", np.tile(spoke[None, :, None, None], (1, 1, 24, 2)))
    with open_measured(tmp_path / "a.cfl") as scan:
        (finding,) = scan.findings()
    assert finding.kind == "no_peak"
    assert "mrpro, deepinv" in finding.text
