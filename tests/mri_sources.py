"""Small source files for the tests of the MRI converters, and what all converters must achieve."""

import h5py
import numpy as np
from mri_scans import blob_image, smooth_maps

from data_scripts.command_line import run_script
from mri.centred_fft import fft_centred
from mri.schema_check import check_scan

GRID = (24, 20)  # readout without oversampling, phase encoding


def coil_images(n_slices=2, n_coils=1, grid=GRID, seed=0):
    """Return images (slices, coils, y, z) of smooth blobs."""
    images = np.stack([blob_image(grid, seed + i) for i in range(n_slices)])[:, None]
    maps = smooth_maps(n_coils, grid) if n_coils > 1 else np.ones((1, *grid))
    return (images * maps).astype(np.complex64)


def oversample(images):
    """Return k-space of images in a field of view twice as long along the first axis."""
    n = images.shape[-2]
    return fft_centred(np.pad(images, [(0, 0)] * (images.ndim - 2) + [(n // 2, n // 2), (0, 0)]))


def header_xml(x, y, z, recon, maximum, center):
    """Return an ISMRMRD header with the sizes and the counter of the phase encoding."""

    def matrix(sizes):
        axes = zip("xyz", sizes, strict=True)
        return "<matrixSize>" + "".join(f"<{a}>{n}</{a}>" for a, n in axes) + "</matrixSize>"

    return (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>'
        f"<trajectory>cartesian</trajectory><encodedSpace>{matrix((x, y, z))}</encodedSpace>"
        f"<reconSpace>{matrix(recon)}</reconSpace><encodingLimits><kspace_encoding_step_1>"
        f"<minimum>0</minimum><maximum>{maximum}</maximum><center>{center}</center>"
        "</kspace_encoding_step_1></encodingLimits></encoding></ismrmrdHeader>"
    )


def read(path):
    """Return k-space, maps and target of a prepared scan."""
    with h5py.File(path) as file:
        return tuple(file[name][()] for name in ("kspace", "maps", "target"))


def assert_same_up_to_scale(found, expected):
    """Assert that two arrays differ by one complex factor."""
    factor = np.vdot(expected, found) / np.vdot(expected, expected)
    np.testing.assert_allclose(found, factor * expected, atol=2e-3 * np.abs(found).max())


def assert_all_sound(out, n_scans):
    """Assert that a complete dataset of so many scans without problems was made."""
    paths = sorted(out.glob("*.h5"))
    assert len(paths) == n_scans
    assert [problem for path in paths for problem in check_scan(path)] == []
    assert (out / "metadata.yaml").is_file()


def refused(script, schema, arguments, capsys):
    """Return what a data script says when it fails."""
    assert run_script(script, schema, arguments) == 1
    return capsys.readouterr().err
