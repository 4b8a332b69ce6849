"""BART files that are no ground truth."""

import numpy as np
import pytest
from bad_inputs import BadInput, assert_refused, table
from mri_conversions import GRID, SPLITS, options
from mri_scans import write_scan
from mri_sources import (
    head,
    write_cfl,
)

from data_scripts.mri import bart_cfl
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.recipe import produce


def bart_scan(folder, kspace, maps=None):
    """Convert a scan (x, y, z, coils) of which only a is unsound, with or without maps."""
    for _, name in SPLITS:
        write_cfl(folder / name, kspace)
        if maps is not None:
            write_cfl(folder / f"{name}_maps", maps)
    produce(bart_cfl.BartRecipe(**options(folder, ".cfl")))


def slice_2d(n_coils=4):
    """Return k-space and maps in the order of BART: x, y, z, coils."""
    kspace, maps = head(GRID, n_coils)
    return (array.transpose(1, 2, 0)[:, :, None] for array in (kspace, maps))


def with_hdr(text):
    def act(folder):
        kspace, _ = slice_2d()
        for _, name in SPLITS:
            write_cfl(folder / name, kspace)
        (folder / "a.hdr").write_bytes(text)
        produce(bart_cfl.BartRecipe(**options(folder, ".cfl")))

    return act


def with_cfl(change):
    def act(folder):
        kspace, _ = slice_2d()
        for _, name in SPLITS:
            write_cfl(folder / name, kspace)
        (folder / "a.cfl").write_bytes(change((folder / "a.cfl").read_bytes()))
        produce(bart_cfl.BartRecipe(**options(folder, ".cfl")))

    return act


def with_maps(change):
    def act(folder):
        kspace, maps = slice_2d()
        bart_scan(folder, kspace, change(maps))

    return act


def volume_3d():
    images = np.stack([ifft_centred(head((28, 24), 1, seed=s)[0][0]) for s in range(20)])
    padded = np.pad(images, ((6, 6), (0, 0), (0, 0)))
    return fft_centred(padded, (0, 1, 2))


def with_nan(kspace):
    kspace[3, 5, 7] = np.nan
    return kspace


BART = (
    BadInput("negative sizes", with_hdr(b"# D\n-48 -40 1 4\n"), ("a.hdr", "-48 -40 1 4", "BART")),
    BadInput("a size of zero", with_hdr(b"# D\n48 0 1 4\n"), ("a.hdr", "48 0 1 4", "positive")),
    BadInput("17 dimensions", with_hdr(b"2 " * 17), ("a.hdr", "1 to 16")),
    BadInput("sizes that overflow", with_hdr(b"4294967296 4294967296 1\n"), ("a.cfl", "truncated")),
    BadInput("a header of bytes", with_hdr(bytes(range(256))), ("a.hdr", "dimensions")),
    BadInput("an empty header", with_hdr(b""), ("a.hdr", "dimensions")),
    BadInput(
        "data too short", with_cfl(lambda b: b[:-8]), ("a.cfl", "61432", "61440", "truncated")
    ),
    BadInput("data too long", with_cfl(lambda b: b + b"1" * 8), ("a.cfl", "61448", "longer")),
    BadInput("no data", with_cfl(lambda _: b""), ("a.cfl has 0 bytes", "copy both again")),
    BadInput(
        "coils where partitions belong",
        lambda folder: bart_scan(folder, head(GRID, 8)[0].transpose(1, 2, 0)),
        ("a.cfl: ", "second axis of length 8", "order of the axes", "accept=[no_peak]"),
    ),
    BadInput(
        "undersampled",
        lambda folder: bart_scan(
            folder, next(slice_2d()) * (np.arange(40) % 4 == 0)[:, None, None]
        ),
        ("a.cfl: ", "accept=[gaps]"),
    ),
    BadInput(
        "half of k-space",
        lambda folder: bart_scan(folder, next(slice_2d()) * (np.arange(40) > 19)[:, None, None]),
        ("a.cfl: ", "lines 20 to 39", "accept=[half]"),
    ),
    BadInput(
        "alternating signs along the readout of a volume",
        lambda folder: bart_scan(folder, volume_3d() * ((-1.0) ** np.arange(32))[:, None, None]),
        ("a.cfl: the image is centred", "readout axis of length 32", "accept=[shifted]"),
    ),
    BadInput(
        "NaN in a volume",
        lambda folder: bart_scan(folder, with_nan(volume_3d())),
        ("a.cfl: kspace", "echo 0, coil 0, kx 3, ky 5, kz 7"),
    ),
    BadInput(
        "maps that lose half of the image",
        with_maps(lambda m: m * (np.arange(40) > 19)[:, None, None]),
        ("a.cfl: slice 0: the SENSE combination differs", "root sum", "accept=[maps]"),
    ),
    BadInput(
        "several slabs of a volume",
        lambda folder: bart_scan(folder, np.ones((8, 6, 2, 1, *[1] * 9, 3))),
        ("a.cfl has 3 slabs of 2 partitions", "one of them at a time", "bart slice 13"),
    ),
    BadInput("maps of other coils", with_maps(lambda m: m[..., ::-1]), ("accept=[maps]",)),
    BadInput("NaN in maps", with_maps(lambda m: m * np.nan), ("slice 0 of the maps", "coil 0")),
    BadInput("fewer maps", with_maps(lambda m: m[..., :2]), ("a_maps.cfl", "(1, 2, 48, 40, 1)")),
    BadInput(
        "maps of echoes",
        with_maps(lambda m: np.stack([m, m], -1)[..., None, :]),
        ("a_maps.cfl", "2 echoes"),
    ),
)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@table(*BART)
def test_bart_files_that_are_no_ground_truth_are_refused(case, tmp_path):
    old = write_scan(tmp_path / "out" / "a.h5")
    before = old.read_bytes()
    assert_refused(case, tmp_path)
    assert old.read_bytes() == before
