import h5py
import numpy as np
import pytest
from mri_scans import blob_image, smooth_maps, write_scan

from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.kspace_findings import slice_findings
from data_scripts.mri.schema import ScanInfo, ScanShape, ScanWriter, read_info, stored_masks
from data_scripts.mri.schema_check import check_scan


@pytest.fixture
def scan(tmp_path):
    return write_scan(tmp_path / "knee.h5", masks={"poisson_2.0x": np.eye(17, 12) > 0})


def test_a_scan_is_read_back(scan):
    info, shape = read_info(scan)
    assert info.scan_id == "knee"
    assert info.echo_names == ("echo1", "echo2")
    assert (info.centered, info.norm, info.split) == (True, "ortho", "train")
    assert shape == ScanShape(3, 2, 3, (17, 12))
    np.testing.assert_array_equal(stored_masks(scan)["poisson_2.0x"], np.eye(17, 12))
    assert check_scan(scan) == []


def test_values_are_divided_by_the_spread_of_the_target(scan):
    info, _ = read_info(scan)
    image = blob_image((17, 12), 0)
    with h5py.File(scan) as file:
        target = file["target"][()]
        kspace, maps = file["kspace"][0], file["maps"][0]
    assert np.abs(target).std() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(target[0, 0] * info.scale, image, atol=1e-5)
    np.testing.assert_allclose((maps.conj() * ifft_centred(kspace)).sum(1), target[0], atol=1e-5)


def test_a_scan_without_signal_can_be_written_and_is_named_by_the_check(tmp_path):
    path = write_scan(tmp_path / "empty.h5", n_slices=1, empty_slices=[0])
    assert read_info(path)[0].scale == 1
    (problem,) = check_scan(path)
    assert problem.startswith(f"{path}: k-space is zero everywhere")
    assert problem.endswith("leave the file out")


def test_one_empty_slice_does_not_matter(tmp_path):
    assert check_scan(write_scan(tmp_path / "edge.h5", empty_slices=[0])) == []


def test_a_broken_run_leaves_nothing(tmp_path):
    info = ScanInfo("x", "train", "", "", ("echo1",))
    shape = ScanShape(2, 1, 1, (4, 5))
    with pytest.raises(RuntimeError), ScanWriter(tmp_path / "x.h5", info, shape):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_not_finite_are_not_written(tmp_path):
    info = ScanInfo("x", "train", "", "", ("echo1",))
    ones = np.ones((1, 1, 4, 5), np.complex64)
    with (
        pytest.raises(
            ValueError,
            match=r"slice 0: target holds NaN or infinity in 20 of 20 .* at echo 0, y 0, z 0",
        ),
        ScanWriter(tmp_path / "x.h5", info, ScanShape(1, 1, 1, (4, 5))) as writer,
    ):
        writer.write(0, ones, ones[0], np.full((1, 4, 5), np.inf, np.complex64))
    assert not (tmp_path / "x.h5").exists()


def test_a_slice_of_another_shape_is_refused(tmp_path):
    info = ScanInfo("x", "train", "", "", ("echo1",))
    ones = np.ones((1, 1, 4, 5), np.complex64)
    with (
        pytest.raises(ValueError, match=r"maps has shape \(1, 5, 4\), expected \(1, 4, 5\)"),
        ScanWriter(tmp_path / "x.h5", info, ScanShape(1, 1, 1, (4, 5))) as writer,
    ):
        writer.write(0, ones, ones[0].transpose(0, 2, 1), ones[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("", "train", "", "", ("e",)), "file name"),
        (("x", "training", "", "", ("e",)), "split must be"),
        (("x", "train", "", "", ("e", "e")), "distinct"),
        (("x", "train", "", "", ("e",), "", "guess"), "target_kind"),
    ],
)
def test_wrong_attributes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ScanInfo(*options)


def replace_dataset(path, name, values):
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = values


def test_every_kind_of_damage_is_named(scan, tmp_path):
    with h5py.File(scan) as file:
        kspace, maps, target = (file[name][()] for name in ("kspace", "maps", "target"))

    def problems(change):
        damaged = tmp_path / "damaged.h5"
        damaged.write_bytes(scan.read_bytes())
        change(damaged)
        return " ".join(check_scan(damaged))

    def delete(name):
        def change(path):
            with h5py.File(path, "r+") as file:
                del file[name]

        return change

    def set_attribute(name, value):
        def change(path):
            with h5py.File(path, "r+") as file:
                file.attrs[name] = value

        return change

    def forget_attribute(path):
        with h5py.File(path, "r+") as file:
            del file.attrs["licence"]

    def cut(path):
        path.write_bytes(path.read_bytes()[:-3000])

    def flip_a_bit(path):
        with h5py.File(path) as file:
            offset = file["target"].id.get_chunk_info(3).byte_offset
        content = bytearray(path.read_bytes())
        content[offset + 40] ^= 1
        path.write_bytes(content)

    def put(name, values):
        return lambda path: replace_dataset(path, name, values)

    nan = target.copy()
    nan[2, 1, 5, 5] = np.nan
    for change, message in (
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_text("no HDF5"), "of another format"),
        (cut, "truncated"),
        (flip_a_bit, "target[1] is truncated or damaged"),
        (delete("maps"), "maps is missing"),
        (forget_attribute, "['licence'] are missing"),
        (set_attribute("split", "training"), "split must be one of"),
        (set_attribute("scale", 0.0), "scale must be a positive"),
        (set_attribute("norm", "backward"), "norm='backward'"),
        (set_attribute("echo_names", ["one"]), "2 echoes and the names ('one',)"),
        (put("kspace", kspace[0]), "kspace has 4 axes, expected 5"),
        (put("maps", maps[:, :2]), "maps is complex64 of shape (3, 2, 17, 12)"),
        (put("target", target.astype(np.complex128)), "target is complex128"),
        (put("target", nan), "slice 2 of target holds NaN"),
        (put("kspace", np.fft.ifftshift(kspace, (-2, -1))), "apply fftshift"),
        (put("kspace", 14.3 * kspace), "amplitude ratio 14.3"),
        (put("maps", maps[:, ::-1]), "maps of other coils"),
        (put("masks/poisson_2.0x", np.ones((12, 17))), "masks/poisson_2.0x has shape"),
        (put("masks/poisson_2.0x", np.full((17, 12), 0.5)), "other than 0 and 1"),
        (put("masks/poisson_2.0x", np.zeros((17, 12))), "samples nothing"),
    ):
        found = problems(change)
        assert message in found, f"{message!r} not in {found!r}"


@pytest.mark.parametrize("grid", [(32, 24), (33, 25)], ids=str)
@pytest.mark.parametrize("axis", [-2, -1])
def test_an_image_shifted_by_half_a_field_of_view_is_noticed(grid, axis):
    images = smooth_maps(2, grid) * blob_image(grid)
    assert slice_findings(fft_centred(images)[None]) == []
    shifted = np.roll(images, grid[axis] // 2, axis)
    (finding,) = slice_findings(fft_centred(shifted)[None])
    assert f"along the {'first' if axis == -2 else 'second'} axis" in finding.text


def test_a_scan_off_by_a_few_pixels_is_no_problem():
    images = np.roll(smooth_maps(2, (48, 40)) * blob_image((48, 40)), (6, -5), (-2, -1))
    assert slice_findings(np.roll(fft_centred(images), (2, -3), (-2, -1))[None]) == []
