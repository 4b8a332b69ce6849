"""Sound scans become ground truth, others only where the user says so; what changed is redone."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from mri_conversions import GRID, SPLITS, fastmri_volume, options
from mri_scans import write_scan
from mri_sources import head, header_xml, read, write_cfl

from data_scripts.command_line import run_recipe
from data_scripts.mri import bart_cfl, fastmri
from data_scripts.mri.brain_slice import load_brain_slice
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.coil_maps import combine_sense
from data_scripts.mri.download import BESIDE
from data_scripts.mri.kspace_findings import KINDS
from data_scripts.mri.schema import read_info, stored_masks
from data_scripts.mri.schema_check import check_scan
from data_scripts.recipe import produce


def convert(folder, volumes, names="abc", **more):
    """Write three volumes (slices, coils, ky, kz) as fastMRI files and convert them."""
    for name, kspace in zip(names, volumes, strict=True):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["kspace"] = kspace
    files = {s: [str(folder / f"{n}.h5")] for (s, _), n in zip(SPLITS, names, strict=True)}
    produce(fastmri.FastMriRecipe(**{**options(folder, ".h5"), **files, **more}))
    return folder / "out"


def heads(n_coils, grid=GRID, n_slices=2):
    return [
        np.stack([head(grid, n_coils, seed=10 * i + s)[0] for s in range(n_slices)])
        for i in range(3)
    ]


def one_sided(grid):
    return np.broadcast_to(np.arange(grid[1]) >= 3 * grid[1] // 8, grid)


def elliptical(grid):
    y, z = ((np.arange(n) - n // 2) / (n / 2) for n in grid)
    return np.hypot(*np.meshgrid(y, z, indexing="ij")) < 1


def everything(grid):
    return np.ones(grid, bool)


@pytest.mark.parametrize("grid", [(48, 40), (51, 45)], ids=str)
@pytest.mark.parametrize("n_coils", [8, 16])
@pytest.mark.parametrize("measured", [everything, one_sided, elliptical])
def test_sound_volumes_are_converted_with_what_was_measured(tmp_path, grid, n_coils, measured):
    mask = measured(grid)
    out = convert(tmp_path, [heads(n_coils, grid, n_slices=1)[0] * mask] * 3)
    for _, name in SPLITS:
        path = out / f"{name}.h5"
        assert check_scan(path) == []
        acquired = stored_masks(path).get("acquired", np.ones(grid))
        np.testing.assert_array_equal(acquired, mask)


def test_zero_padded_volumes_are_converted(tmp_path):
    padded = np.pad(heads(4, n_slices=1)[0], ((0, 0), (0, 0), (24, 24), (20, 20)))
    out = convert(tmp_path, [padded] * 3)
    assert check_scan(out / "a.h5") == []
    assert stored_masks(out / "a.h5")["acquired"].sum() == GRID[0] * GRID[1]


@pytest.mark.parametrize("target", ["sense", "rss"])
@pytest.mark.parametrize("unit", [2.0**-66, 2.0**83])
def test_scans_are_converted_in_any_unit_that_floats_hold(tmp_path, unit, target):
    kspace = heads(4, n_slices=2)[0]
    out = convert(tmp_path, [kspace, unit * kspace, unit * kspace], target=target)
    assert check_scan(out / "b.h5") == []
    for one, other in zip(read(out / "a.h5"), read(out / "b.h5"), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


def test_zeros_among_integers_count_as_acquired(tmp_path):
    kspace = heads(1, n_slices=1)[0]
    kspace[0, 0, 5, 6] = kspace[0, 0, 40, 30] = 0
    out = convert(tmp_path, [kspace] * 3)
    assert stored_masks(out / "a.h5") == {}


UNSOUND = {
    "gaps": lambda k: k * (np.arange(GRID[1]) % 3 != 0),
    "half": lambda k: k * (np.arange(GRID[1]) <= GRID[1] // 2),
    "off_centre": lambda k: np.roll(k, 6, -1),
    "shifted": lambda k: k * ((-1.0) ** np.arange(GRID[0]))[:, None],
    "no_peak": lambda k: ifft_centred(k).astype(np.complex64),
    "real": lambda k: np.round(1000 * k.real),
    "single_coil": lambda k: k[:, 0],
}


@pytest.mark.parametrize(("kind", "change"), UNSOUND.items(), ids=UNSOUND)
def test_each_finding_has_its_override_and_the_check_respects_it(tmp_path, kind, change):
    volumes = [change(kspace) for kspace in heads(1)]
    with pytest.raises(ValueError, match=rf"accept=\[{kind}\]"):
        convert(tmp_path, volumes)
    out = convert(tmp_path, volumes, accept=[kind])
    assert check_scan(out / "a.h5") == []
    if kind == "single_coil":  # nothing that a prepared scan could show
        return
    with h5py.File(out / "a.h5", "r+") as file:
        details = json.loads(file.attrs["details"])
        assert details["accept"] == [kind]
        file.attrs["details"] = json.dumps({**details, "accept": []})
    assert any(f"accept=[{kind}]" in problem for problem in check_scan(out / "a.h5"))


def test_maps_that_lose_part_of_the_image_can_be_accepted(tmp_path):
    kspace, maps = head(GRID, 4)
    for _, name in SPLITS:
        write_cfl(tmp_path / name, kspace.transpose(1, 2, 0)[:, :, None])
        write_cfl(tmp_path / f"{name}_maps", 0.5 * maps.transpose(1, 2, 0)[:, :, None])
    arguments = options(tmp_path, ".cfl")
    with pytest.raises(ValueError, match=r"amplitude ratio 0\.5.*accept=\[maps\]"):
        produce(bart_cfl.BartRecipe(**arguments))
    produce(bart_cfl.BartRecipe(**arguments, accept=["maps"]))
    assert check_scan(tmp_path / "out" / "a.h5") == []


def test_data_outside_the_range_of_the_header_are_never_masked_away(tmp_path):
    for _, name in SPLITS:
        fastmri_volume(tmp_path / f"{name}.h5")
        with h5py.File(tmp_path / f"{name}.h5", "r+") as file:
            del file["ismrmrd_header"]
            n = GRID[1]
            file["ismrmrd_header"] = header_xml(*GRID, 1, (*GRID, 1), n - 13, n // 2 - 6)
    produce(fastmri.FastMriRecipe(**options(tmp_path, ".h5", accept=["header"])))
    assert stored_masks(tmp_path / "out" / "a.h5") == {}


def test_every_kind_can_be_accepted_at_once_and_is_documented():
    fastmri.FastMriRecipe(accept=list(KINDS))
    page = (Path(fastmri.__file__).parent / "schema.md").read_text()
    for kind in KINDS:
        assert f"| `{kind}` |" in page


def test_a_refusal_after_accepting_leaves_the_accepted_scan(tmp_path):
    volumes = [UNSOUND["gaps"](kspace) for kspace in heads(1)]
    out = convert(tmp_path, volumes, accept=["gaps"])
    before = (out / "a.h5").read_bytes()
    with pytest.raises(ValueError, match=r"accept=\[gaps\]"):
        convert(tmp_path, volumes)
    assert (out / "a.h5").read_bytes() == before


def test_a_source_replaced_under_its_name_is_converted_again(tmp_path):
    first, second, third = heads(3)
    out = convert(tmp_path, [first, second, third])
    stamps = {path.name: path.stat().st_mtime_ns for path in out.glob("*.h5")}
    convert(tmp_path, [third, second, third], accept=["gaps"])
    changed = {p.name for p in out.glob("*.h5") if p.stat().st_mtime_ns != stamps[p.name]}
    assert changed == {"a.h5"}
    np.testing.assert_array_equal(read(out / "a.h5")[0], read(out / "c.h5")[0])


def test_maps_replaced_beside_a_scan_are_read_again(tmp_path):
    kspace, maps = head(GRID, 4)
    turned = maps * np.exp(1j)
    for _, name in SPLITS:
        write_cfl(tmp_path / name, kspace.transpose(1, 2, 0)[:, :, None])
    for written in (maps, turned):
        write_cfl(tmp_path / "a_maps", written.transpose(1, 2, 0)[:, :, None])
        produce(bart_cfl.BartRecipe(**options(tmp_path, ".cfl")))
        np.testing.assert_allclose(read(tmp_path / "out" / "a.h5")[1][0], written, atol=1e-6)


def test_names_with_dots_spaces_and_accents_stay_apart(tmp_path):
    names = ("scan.v1", "scan.v2", "größe 3")
    out = convert(tmp_path, heads(1), names)
    assert {path.stem for path in out.glob("*.h5")} == set(names)
    assert read_info(out / "scan.v2.h5")[0].scan_id == "scan.v2"
    assert check_scan(out / "größe 3.h5") == []


def test_a_tilde_in_options_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for _, name in SPLITS:
        fastmri_volume(tmp_path / f"{name}.h5", n_coils=1, n_slices=1)
    arguments = [f"{split}=[~/{name}.h5]" for split, name in SPLITS]
    assert run_recipe(fastmri.FastMriRecipe, [*arguments, "out=~/out"]) == 0
    assert len(list((tmp_path / "out").glob("*.h5"))) == 3


def test_an_option_that_cannot_be_ends_with_one_line(capsys):
    assert run_recipe(bart_cfl.BartRecipe, ["kernel=0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "kernel=0" in said
    assert said.count("\n") == 1


def spoil(path, change):
    """Change the k-space of a prepared scan, and the target with it."""
    with h5py.File(path, "r+") as file:
        kspace, maps = change(file["kspace"][()], file["maps"][()])
        file["kspace"][...], file["maps"][...] = kspace, maps
        file["target"][...] = np.stack(
            [combine_sense(k, m) for k, m in zip(kspace, maps, strict=True)]
        )


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("gaps", lambda k, m: (k * (np.arange(40) % 2), m)),
        ("off_centre", lambda k, m: (np.roll(k, 6, -1), m)),
        ("shifted", lambda k, m: (k * (-1.0) ** np.arange(40), m)),
        ("maps", lambda k, m: (k, m * (np.arange(40) > 19))),
    ],
)
def test_prepared_scans_are_asked_the_same(tmp_path, kind, change):
    path = write_scan(tmp_path / "a.h5", grid=GRID, n_coils=4)
    assert check_scan(path) == []
    spoil(path, change)
    (problem,) = check_scan(path)
    assert problem.startswith(str(path))
    assert problem.endswith(f"accept=[{kind}]")


def test_a_readout_shifted_by_half_is_seen_in_a_prepared_volume(tmp_path):
    path = write_scan(tmp_path / "a.h5", n_slices=12)
    with h5py.File(path, "r+") as file:
        file.attrs["hybrid_axes"] = "x"
        fade = np.exp(-((np.arange(12) - 6) ** 2) / 8.0)
        for name in ("kspace", "target"):
            values = file[name][()]
            file[name][...] = values * fade.reshape(-1, *[1] * (values.ndim - 1))
    assert check_scan(path) == []
    with h5py.File(path, "r+") as file:
        for name in ("kspace", "maps", "target"):
            file[name][...] = np.roll(file[name][()], 6, 0)
    (problem,) = check_scan(path)
    assert "along the slice axis of length 12" in problem


def test_a_word_for_a_list_is_answered_with_how_to_write_one(capsys):
    assert run_recipe(fastmri.FastMriRecipe, ["accept=gaps"]) == 2
    assert "it is a list; write accept=[A,B]" in capsys.readouterr().err


@pytest.mark.skipif(not BESIDE.is_dir(), reason="the public files are not beside the repository")
def test_the_measured_slice_is_converted_and_refused_once_spoilt(tmp_path):
    kspace = load_brain_slice()[None]
    oversampled = fft_centred(np.pad(ifft_centred(kspace), ((0, 0), (0, 0), (128, 128), (0, 0))))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["kspace"] = oversampled.astype(np.complex64)
        file["ismrmrd_header"] = header_xml(512, 216, 1, (256, 216, 1), 215, 108)
    for name in "ac":
        (tmp_path / f"{name}.h5").write_bytes((tmp_path / "b.h5").read_bytes())
    files = options(tmp_path, ".h5", calibration=24, kernel=6)
    produce(fastmri.FastMriRecipe(**files))
    assert check_scan(tmp_path / "out" / "a.h5") == []
    assert read_info(tmp_path / "out" / "a.h5")[1].grid == (256, 216)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["kspace"][...] = np.roll(file["kspace"][()], 27, -1)
    with pytest.raises(ValueError, match=r"a\.h5: k-space peaks at sample 135 of the second axis"):
        produce(fastmri.FastMriRecipe(**files))


@pytest.mark.skipif(not BESIDE.is_dir(), reason="the measured scans are not beside the repository")
def test_measured_coils_where_partitions_belong_are_no_axis_of_kspace(tmp_path):
    coils = load_brain_slice()[:, 64:192, 54:162].transpose(1, 2, 0)  # dimension 2 is lacking
    for _, name in SPLITS:
        write_cfl(tmp_path / name, coils)
    with pytest.raises(
        ValueError, match=r"a\.cfl: .* second axis of length 7 .*accept=\[no_peak\]"
    ):
        produce(bart_cfl.BartRecipe(**options(tmp_path, ".cfl")))
