"""fastMRI volumes that are no ground truth, or no plain files."""

import h5py
import numpy as np
from bad_inputs import BadInput, assert_refused, table
from mri_conversions import BOMB, GRID, SPLITS, convert_fastmri, fastmri_volume, options
from mri_scans import write_scan
from mri_sources import (
    head,
    header_xml,
)

from data_scripts.mri import fastmri
from data_scripts.mri.centred_fft import ifft_centred
from data_scripts.recipe import produce


def with_kspace(change):
    """Convert a volume whose k-space (slices, coils, ky, kz) was changed."""

    def put(file):
        values = change(file["kspace"][()])
        del file["kspace"]
        file["kspace"] = values

    return lambda folder: convert_fastmri(folder, put)


def with_header(text):
    def put(file):
        del file["ismrmrd_header"]
        file["ismrmrd_header"] = text

    return lambda folder: convert_fastmri(folder, put)


def with_dataset(make):
    """Convert a volume whose k-space was replaced by whatever `make` puts into the file."""

    def put(file):
        kspace = file["kspace"][()]
        del file["kspace"]
        make(file, kspace)

    return lambda folder: convert_fastmri(folder, put)


def set_to(value, *place):
    def change(kspace):
        kspace[place] = value
        return kspace

    return change


def external_link(file, kspace):
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["kspace"] = kspace
    file["kspace"] = h5py.ExternalLink(f"{file.filename}.other", "kspace")


def soft_link_outside(file, kspace):
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["group/kspace"] = kspace
    file["elsewhere"] = h5py.ExternalLink(f"{file.filename}.other", "group")
    file["kspace"] = h5py.SoftLink("/elsewhere/kspace")


def virtual(file, kspace):
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["kspace"] = kspace
    layout = h5py.VirtualLayout(kspace.shape, kspace.dtype)
    layout[...] = h5py.VirtualSource(f"{file.filename}.other", "kspace", kspace.shape)
    file.create_virtual_dataset("kspace", layout)


def external_storage(file, kspace):
    name = f"{file.filename}.raw"
    kspace.tofile(name)
    file.create_dataset(
        "kspace", kspace.shape, kspace.dtype, external=[(name, 0, h5py.h5f.UNLIMITED)]
    )


def groups_for_reconstructions(file, kspace):
    file["kspace"] = kspace[0]
    file.create_group("reconstruction_esc")


def huge_claim(file, _):
    file.create_dataset("kspace", (10**6, 16, 640, 368), "c8", chunks=(1, 1, 640, 368))


def truncated(folder):
    fastmri_volume(folder / "a.h5")
    content = (folder / "a.h5").read_bytes()
    (folder / "a.h5").write_bytes(content[: len(content) // 2])
    for name in "bc":
        fastmri_volume(folder / f"{name}.h5")
    produce(fastmri.FastMriRecipe(**options(folder, ".h5")))


def every_second(kspace):
    kspace[..., ::2] = 0
    kspace[..., 16:24] = fastmri_centre(kspace.shape)
    return kspace


def fastmri_centre(shape):
    return np.stack([head(GRID, shape[1], seed=s)[0] for s in range(shape[0])])[..., 16:24]


def narrow_header():
    """Return a header that leaves out six measured columns on each side."""
    return header_xml(*GRID, 1, (*GRID, 1), GRID[1] - 13, GRID[1] // 2 - 6)


def swapped_axes(folder):
    """Convert volumes stored as (slices, coils, phase, readout with oversampling)."""
    for _, name in SPLITS:
        kspace = fastmri_volume(folder / f"{name}.h5")
        with h5py.File(folder / f"{name}.h5", "r+") as file:
            del file["kspace"], file["ismrmrd_header"]
            file["kspace"] = kspace
            file["ismrmrd_header"] = header_xml(40, 48, 1, (20, 48, 1), 47, 24)
    produce(fastmri.FastMriRecipe(**options(folder, ".h5")))


SIGNS = (-1.0) ** np.arange(GRID[1])
FASTMRI = (
    BadInput(
        "every second column missing, no mask",
        with_kspace(every_second),
        ("a.h5: ", "echo 0", "15 along the second", "fully sampled", "accept=[gaps]"),
    ),
    BadInput(
        "one slice undersampled",
        with_kspace(set_to(0, 1, slice(None), slice(None), slice(1, None, 3))),
        ("a.h5: ", "accept=[gaps]"),
    ),
    BadInput(
        "a slice missing",
        with_kspace(set_to(0, 1)),
        ("a.h5: slice 1 has no data in echo 0", "accept=[gaps]"),
    ),
    BadInput(
        "half of the columns missing at the end",
        with_kspace(set_to(0, ..., slice(21, None))),
        ("a.h5: ", "columns 0 to 39 of 40", "0 to 20 hold data", "accept=[header]"),
    ),
    BadInput(
        "off centre by an eighth",
        with_kspace(lambda k: np.roll(k, 6, -2)),
        ("a.h5: k-space peaks at sample 30", "centre 24", "fftshift", "accept=[off_centre]"),
    ),
    BadInput(
        "alternating signs",
        with_kspace(lambda k: k * SIGNS),
        ("a.h5: the image is centred", "second axis of length 40", "accept=[shifted]"),
    ),
    BadInput(
        "integers",
        with_kspace(lambda k: np.round(1000 * np.abs(k)).astype(np.int32)),
        ("a.h5: k-space has no imaginary part", "accept=[real]"),
    ),
    BadInput(
        "images for k-space",
        with_kspace(ifft_centred),
        ("a.h5: the strongest line along the second axis", "accept=[no_peak]"),
    ),
    BadInput("all zero", with_kspace(np.zeros_like), ("a.h5: k-space is zero", "leave the file")),
    BadInput(
        "a coil volume without the axis of slices",
        with_kspace(lambda k: k[0]),
        ("a.h5: kspace has the shape (3, 48, 40)", "(1, coils, height", "accept=[single_coil]"),
    ),
    BadInput(
        "a group where the reconstruction belongs",
        with_dataset(groups_for_reconstructions),
        ("a.h5: kspace has the shape (3, 48, 40)", "accept=[single_coil]"),
    ),
    BadInput(
        "one sample NaN",
        with_kspace(set_to(np.nan, 1, 2, 17, 7)),
        ("a.h5: slice 1 of kspace", "echo 0, coil 2, ky 17, kz 7", "repair the file"),
    ),
    BadInput(
        "one sample infinite",
        with_kspace(set_to(np.inf, 2, 0, 0, 0)),
        ("a.h5: slice 2 of kspace", "echo 0, coil 0, ky 0, kz 0"),
    ),
    BadInput("axes swapped", swapped_axes, ("a.h5: ", "48 x 40", "swapped", "accept=[header]")),
    BadInput(
        "twelve measured columns outside the header's range",
        with_header(narrow_header()),
        ("a.h5: ", "columns 6 to 33 of 40", "0 to 39 hold data", "accept=[header]"),
    ),
    BadInput("a header bomb", with_header(BOMB), ("a.h5: ", "document type", "<!DOCTYPE")),
    BadInput(
        "a header bomb in UTF-16", with_header(np.void(BOMB.encode("utf-16"))), ("a.h5: ", "again")
    ),
    BadInput("a header that is no XML", with_header("<a"), ("a.h5: ", "not XML", "correct")),
    BadInput(
        "a header with a negative size",
        with_header(header_xml(-48, 40, 1, (48, 40, 1), 39, 20)),
        ("a.h5: <encodedSpace><matrixSize><x>", "'-48'", "from 1 to 65535", "correct"),
    ),
    BadInput(
        "a header with an enormous size",
        with_header(header_xml(48, 10**30, 1, (48, 40, 1), 39, 20)),
        ("a.h5: <encodedSpace><matrixSize><y>", "from 1 to 65535"),
    ),
    BadInput(
        "a header with a word for a number",
        with_header(header_xml(48, 40, 1, ("many", 40, 1), 39, 20)),
        ("a.h5: <reconSpace><matrixSize><x>", "'many'"),
    ),
    BadInput("a header that is a number", with_header(7), ("a.h5: ismrmrd_header", "int64")),
    BadInput(
        "a group for k-space",
        with_dataset(lambda file, _: file.create_group("kspace")),
        ("a.h5: kspace is a group", "leave it out"),
    ),
    BadInput(
        "a scalar for k-space",
        with_dataset(lambda file, _: file.create_dataset("kspace", data=1 + 1j)),
        ("a.h5: kspace has shape ()", "(slices, [coils,] height, width)"),
    ),
    BadInput(
        "an empty dataset",
        with_dataset(lambda file, _: file.create_dataset("kspace", data=h5py.Empty("c8"))),
        ("a.h5: kspace is empty", "leave it out"),
    ),
    BadInput(
        "words for k-space",
        with_dataset(lambda file, _: file.create_dataset("kspace", data=["a", "b"])),
        ("a.h5: kspace has type object", "leave it out"),
    ),
    BadInput("an external link", with_dataset(external_link), ("a.h5: kspace", "other file")),
    BadInput(
        "a link through another file", with_dataset(soft_link_outside), ("a.h5: ", "other file")
    ),
    BadInput("a virtual dataset", with_dataset(virtual), ("a.h5: kspace", "copy the values")),
    BadInput("external storage", with_dataset(external_storage), ("a.h5: kspace", "other file")),
    BadInput("a huge claim", with_dataset(huge_claim), ("a.h5: kspace claims", "never written")),
    BadInput("a truncated file", truncated, ("a.h5 is truncated", "leave it out")),
)


@table(*FASTMRI)
def test_fastmri_volumes_that_are_no_ground_truth_are_refused(case, tmp_path):
    old = write_scan(tmp_path / "out" / "a.h5")
    before = old.read_bytes()
    assert_refused(case, tmp_path)
    assert old.read_bytes() == before
    assert not list((tmp_path / "out").glob(".*"))
