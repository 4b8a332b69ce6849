"""Files of a reconstructed scan hold what was written, and appear when they are complete."""

import json
import os
import subprocess

import h5py
import nibabel
import numpy as np
import pytest
from matplotlib.image import imread

from data_scripts.mri.schema import ScanShape
from data_scripts.mri.volumes import Volume
from mri.reconstruction.output import ImageInfo, check_output, open_output
from mri.reconstruction.slices import SliceImage

SHAPE = ScanShape(5, 2, 3, (7, 6))


def slices(n_sets=1, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)

    def draw(*sizes):
        return (rng.standard_normal((*sizes, 2)) @ (1, 1j)).astype(np.complex64)

    return [
        SliceImage(
            draw(n_sets, shape.n_echoes, *shape.grid),
            draw(n_sets, shape.n_coils, *shape.grid),
            rng.random((shape.n_echoes, *shape.grid)) < 0.5,
        )
        for _ in range(shape.n_slices)
    ]


def write(path, images, info=None):
    info = info or ImageInfo(SHAPE, len(images[0].images), {"made_by": "a test", "n": [1, 2]})
    with open_output(path, info) as file:
        for index, image in enumerate(images):
            file.write(index, image)


@pytest.mark.parametrize("n_sets", [1, 2])
def test_hdf5_holds_everything(tmp_path, n_sets):
    images = slices(n_sets)
    write(tmp_path / "deep" / "a.h5", images)
    with h5py.File(tmp_path / "deep" / "a.h5") as file:
        for index, one in enumerate(images):
            np.testing.assert_array_equal(file["image"][index], one.image)
            np.testing.assert_array_equal(file["mask"][index], one.mask)
            maps = file["maps"][index]
            np.testing.assert_array_equal(maps if n_sets == 2 else maps[None], one.maps)
        assert ("image_sets" in file) == (n_sets == 2)
        assert (file.attrs["made_by"], json.loads(file.attrs["n"])) == ("a test", [1, 2])


def test_numpy_holds_the_image(tmp_path):
    images = slices()
    write(tmp_path / "a.npy", images)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), [one.image for one in images])


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_holds_magnitude_and_phase_as_volumes_are_read(tmp_path, ending):
    images = slices()
    write(tmp_path / f"a{ending}", images)
    magnitude = Volume(tmp_path / f"a{ending}", "a", 2).read()
    phase = np.asarray(nibabel.load(tmp_path / f"a_phase{ending}").dataobj).transpose(2, 3, 1, 0)
    expected = np.stack([one.image for one in images])
    np.testing.assert_allclose(magnitude * np.exp(1j * phase), expected, rtol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a{ending}", f"a_phase{ending}"]


def test_a_picture_shows_slices_side_by_side(tmp_path):
    shape = ScanShape(40, 1, 1, (7, 6))
    write(tmp_path / "a.png", slices(shape=shape), ImageInfo(shape))
    assert imread(tmp_path / "a.png").shape[:2] == (4 * 7, 4 * 6)


class Interrupted(list):
    """Slices of which the third cannot be had."""

    def __iter__(self):
        yield from self[:2]
        raise IndexError


@pytest.mark.parametrize("ending", [".h5", ".npy", ".nii.gz", ".png"])
def test_a_failure_leaves_the_older_file_and_no_other(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    write(path, slices())
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(IndexError):
        write(path, Interrupted(slices()))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_what_a_killed_process_left_is_removed_with_the_next_file(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f".a.npy.{gone.pid}.part"
    others = [tmp_path / f".b.npy.{gone.pid}.part", tmp_path / f".a.npy.{os.getppid()}.part"]
    for path in (left, *others):
        path.write_bytes(b"x")
    write(tmp_path / "a.npy", slices())
    assert not left.exists()
    assert all(path.exists() for path in others)


@pytest.mark.parametrize(
    ("name", "message"), [("a.jpg", "none of the endings"), (".h5", "none"), ("b.h5", "a folder")]
)
def test_a_file_that_cannot_be_is_refused(name, message, tmp_path):
    (tmp_path / "b.h5").mkdir()
    with pytest.raises(ValueError, match=message):
        check_output(tmp_path / name)


def test_an_image_takes_the_place_of_none_of_its_sources(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    for source, out in (
        ("scan.npy", "scan.npy"),
        ("scan.h5", "link/scan.h5"),
        ("scan_phase.nii", "scan.nii"),
    ):
        (tmp_path / source).write_bytes(b"measured")
        with pytest.raises(ValueError, match=f"in the place of .*{source}"):
            check_output(tmp_path / out, [tmp_path / "no_mask", tmp_path / source])


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(OSError, match="could not write"),
        open_output(tmp_path / "file" / "a.npy", ImageInfo(SHAPE)),
    ):
        pass
