"""Each converter on a tiny file in the layout of its source."""

import hashlib
import json
import zipfile

import h5py
import numpy as np
import pytest
from mri_scans import blob_image, smooth_maps
from mri_sources import (
    GRID,
    SKM_TEA_ACQUIRED,
    assert_all_sound,
    assert_same_up_to_scale,
    coil_images,
    read,
    refused,
    write_cfl,
    write_fastmri,
    write_skm_tea,
    write_skm_tea_folder,
)

from data_scripts.command_line import run_recipe
from data_scripts.mri import bart_cfl, fastmri, m4raw, skm_tea
from data_scripts.mri import download as mri_download
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.schema import read_info, stored_masks
from data_scripts.recipe import produce
from mri.config.dataset import DatasetConfig
from mri.dataset.splits import load_splits

# fastMRI


def test_fastmri_volumes_lose_oversampling_and_keep_their_patients_apart(tmp_path):
    images = coil_images()
    write_fastmri(tmp_path / "train" / "file1.h5", images, acquisition="CORPD_FBK", patient_id="a")
    for i, patient in enumerate("bbcc"):
        write_fastmri(tmp_path / "val" / f"file{i + 2}.h5", coil_images(seed=i), patient_id=patient)
    out = tmp_path / "out"
    config = fastmri.FastMriRecipe(
        out=str(out), train=[str(tmp_path / "train")], valid=[str(tmp_path / "val")]
    )
    produce(config)
    assert_all_sound(out, 5)
    info, shape = read_info(out / "file1.h5")
    assert info.echo_names == ("CORPD_FBK",)
    assert (shape.n_coils, shape.grid) == (1, GRID)
    assert_same_up_to_scale(read(out / "file1.h5")[2], images[:, 0:1])
    splits = {i: read_info(out / f"file{i}.h5")[0].split for i in range(2, 6)}
    assert splits == {2: "valid", 3: "valid", 4: "test", 5: "test"}
    stamp = (out / "file1.h5").stat().st_mtime_ns
    produce(config)
    assert (out / "file1.h5").stat().st_mtime_ns == stamp


def test_the_mask_of_a_fully_sampled_volume_is_kept(tmp_path):
    columns = np.arange(GRID[1]) % 2 == 0
    for name in "abc":
        write_fastmri(tmp_path / f"{name}.h5", coil_images(n_slices=1))
        with h5py.File(tmp_path / f"{name}.h5", "r+") as file:
            file["mask"] = columns.astype(np.float32)
    files = {
        split: [str(tmp_path / f"{n}.h5")]
        for split, n in zip(("train", "valid", "test"), "abc", strict=True)
    }
    produce(fastmri.FastMriRecipe(out=str(tmp_path / "out"), **files))
    stored = stored_masks(tmp_path / "out" / "a.h5")
    np.testing.assert_array_equal(stored["mask"], np.broadcast_to(columns, GRID))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["kspace"][...] = file["kspace"][()] * columns
    with pytest.raises(ValueError, match=r"is undersampled \(it has a 'mask'\)"):
        produce(fastmri.FastMriRecipe(out=str(tmp_path / "out"), **files))


def test_no_scan_takes_the_place_of_what_it_is_made_from(tmp_path):
    for name in "abc":
        write_fastmri(tmp_path / "raw" / f"{name}.h5", coil_images(n_slices=1))
    (tmp_path / "link").symlink_to(tmp_path / "raw")
    contents = [path.read_bytes() for path in sorted((tmp_path / "raw").iterdir())]
    files = {
        split: [str(tmp_path / "raw" / f"{n}.h5")]
        for split, n in zip(("train", "valid", "test"), "abc", strict=True)
    }
    for out in ("raw", "link"):
        with pytest.raises(ValueError, match=r"raw/a\.h5 is what a scan is made from"):
            produce(fastmri.FastMriRecipe(out=str(tmp_path / out), **files))
    assert [path.read_bytes() for path in sorted((tmp_path / "raw").iterdir())] == contents


def test_fastmri_coil_maps_are_estimated_and_padding_is_remembered(tmp_path):
    images = coil_images(n_slices=1, n_coils=3, grid=(32, 28))
    for name in ("a", "b", "c"):
        write_fastmri(tmp_path / f"{name}.h5", images, padded=2)
    out = tmp_path / "out"
    files = {
        split: [str(tmp_path / f"{n}.h5")]
        for split, n in zip(("train", "valid", "test"), "abc", strict=True)
    }
    produce(fastmri.FastMriRecipe(out=str(out), calibration=16, kernel=4, target="rss", **files))
    assert_all_sound(out, 3)
    kspace, maps, target = read(out / "a.h5")
    inside = np.abs(target[0, 0]) > 0.3 * np.abs(target).max()
    agreement = np.abs((maps[0].conj() * smooth_maps(3, (32, 28))).sum(0))[inside]
    assert agreement.min() > 0.95
    acquired = stored_masks(out / "a.h5")["acquired"]
    assert not acquired[:, :2].any()
    assert acquired[:, 2:].all()
    assert not kspace[..., :2].any()
    assert len(list((out / "maps_cache").glob("*.npy"))) == 1


def test_fastmri_images_can_be_cropped_to_one_grid(tmp_path):
    for name, n in (("a", 20), ("b", 22), ("c", 24)):
        write_fastmri(tmp_path / f"{name}.h5", coil_images(grid=(24, n)))
    files = {s: [str(tmp_path / f"{n}.h5")] for s, n in (("train", "a"), ("valid", "b"))}
    out = tmp_path / "out"
    produce(
        fastmri.FastMriRecipe(
            out=str(out), width=18, height=16, test=[str(tmp_path / "c.h5")], **files
        )
    )
    assert_all_sound(out, 3)
    assert_same_up_to_scale(
        read(out / "c.h5")[2][:, 0], coil_images(grid=(24, 24))[:, 0, 4:20, 3:21]
    )


def test_fastmri_says_where_the_data_are(capsys):
    said = refused(fastmri.FastMriRecipe, [], capsys)
    assert "https://fastmri.med.nyu.edu" in said
    assert "no redistribution" in said
    assert "1.2 TB" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.create_dataset("mask", data=np.ones(20)), "is undersampled"),
        (lambda file: file.pop("kspace"), "kspace is missing"),
    ],
)
def test_fastmri_files_without_truth_are_refused(tmp_path, capsys, change, message):
    write_fastmri(tmp_path / "a.h5", coil_images())
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file)
    a = f"[{tmp_path}/a.h5]"
    write_fastmri(tmp_path / "b.h5", coil_images())
    write_fastmri(tmp_path / "c.h5", coil_images())
    arguments = [f"train={a}", f"valid=[{tmp_path}/b.h5]", f"test=[{tmp_path}/c.h5]"]
    arguments += [f"out={tmp_path}/out"]
    assert message in refused(fastmri.FastMriRecipe, arguments, capsys)
    assert not list((tmp_path / "out").glob("*.h5"))


def test_kspace_that_is_not_centred_is_refused(tmp_path, capsys):
    for name in "abc":
        write_fastmri(tmp_path / f"{name}.h5", coil_images())
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["kspace"][...] = np.fft.ifftshift(file["kspace"][()], (-2, -1))
    arguments = [f"train=[{tmp_path}/a.h5]", f"valid=[{tmp_path}/b.h5]"]
    arguments += [f"test=[{tmp_path}/c.h5]", f"out={tmp_path}/out"]
    said = refused(fastmri.FastMriRecipe, arguments, capsys)
    assert "a.h5: k-space peaks at" in said
    assert not list((tmp_path / "out").iterdir())


def test_a_patient_in_two_splits_is_refused(tmp_path, capsys):
    for name in "abc":
        write_fastmri(tmp_path / f"{name}.h5", coil_images(), patient_id="one")
    arguments = [f"train=[{tmp_path}/a.h5]", f"valid=[{tmp_path}/b.h5]"]
    arguments += [f"test=[{tmp_path}/c.h5]", f"out={tmp_path}/out"]
    said = refused(fastmri.FastMriRecipe, arguments, capsys)
    assert "subject one is in train and valid" in said


# M4Raw


@pytest.fixture
def mirror(tmp_path):
    """Lay out a mirror of the Zenodo record with two small archives."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    files = []
    subjects = {"train": ["2022061001_T101"], "val": ["2022061002_T101", "2022061003_T201"]}
    for part, names in subjects.items():
        archive = folder / f"M4Raw_multicoil_{part}.zip"
        with zipfile.ZipFile(archive, "w") as opened:
            for i, name in enumerate(names):
                write_fastmri(tmp_path / "raw.h5", coil_images(seed=i))
                opened.write(tmp_path / "raw.h5", f"multicoil_{part}/{name}.h5")
        content = archive.read_bytes()
        checksum = f"md5:{hashlib.md5(content).hexdigest()}"
        links = {"self": f"https://zenodo.org/api/records/8056074/files/{archive.name}/content"}
        entry = {"key": archive.name, "size": len(content), "checksum": checksum, "links": links}
        files.append(entry)
    record = {"files": files, "metadata": {"license": {"id": "cc-by-4.0"}}}
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def test_m4raw_is_fetched_verified_and_split_by_subject(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(m4raw, "DOWNLOADS", tmp_path / "downloads")
    out = tmp_path / "out"
    arguments = [f"out={out}", f"mirror={mirror}"]
    assert run_recipe(m4raw.M4RawRecipe, arguments) == 0
    assert_all_sound(out, 3)
    info, _ = read_info(out / "2022061002_T101.h5")
    assert (info.split, info.licence) == ("valid", "cc-by-4.0")
    assert read_info(out / "2022061003_T201.h5")[0].split == "test"


def test_a_broken_m4raw_archive_is_refused(mirror, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(m4raw, "DOWNLOADS", tmp_path / "downloads")
    archive = mirror / "M4Raw_multicoil_val.zip"
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    arguments = [f"out={tmp_path}/out", f"mirror={mirror}"]
    assert "checksum is not md5:" in refused(m4raw.M4RawRecipe, arguments, capsys)


def test_m4raw_asks_for_the_record_with_the_checksums(tmp_path, capsys):
    said = refused(m4raw.M4RawRecipe, [f"mirror={tmp_path}"], capsys)
    assert "record.json could not be read" in said


# SKM-TEA


@pytest.fixture
def skm_tea_folder(tmp_path):
    return write_skm_tea_folder(tmp_path / "skm-tea")


def test_skm_tea_scans_keep_maps_targets_and_masks(skm_tea_folder, tmp_path):
    out = tmp_path / "out"
    produce(skm_tea.SkmTeaRecipe(out=str(out), source_dir=str(skm_tea_folder)))
    assert_all_sound(out, 3)  # MTR_005 is in the annotations, but was not unpacked
    info, shape = read_info(out / "MTR_003.h5")
    assert (info.split, info.hybrid_axes, info.target_kind) == ("test", "x", "source")
    assert (shape.n_slices, shape.n_echoes, shape.n_coils, shape.grid) == (4, 2, 2, (14, 12))
    expected_target, expected_maps = write_skm_tea(skm_tea_folder, "MTR_003.h5")
    kspace, maps, target = read(out / "MTR_003.h5")
    np.testing.assert_allclose(target * info.scale, expected_target, atol=1e-5)
    np.testing.assert_allclose(maps, expected_maps, atol=1e-6)
    combined = (maps[:, None].conj() * ifft_centred(kspace)).sum(2)
    np.testing.assert_allclose(combined, target, atol=1e-4)


def test_skm_tea_masks_are_padded_and_say_what_was_acquired(skm_tea_folder, tmp_path):
    out = tmp_path / "out"
    produce(skm_tea.SkmTeaRecipe(out=str(out), source_dir=str(skm_tea_folder)))
    for name in ("MTR_001", "MTR_002", "MTR_003"):
        masks = stored_masks(out / f"{name}.h5")
        np.testing.assert_array_equal(masks["acquired"], SKM_TEA_ACQUIRED)
        assert set(masks) - {"acquired"} == ({"poisson_6.0x"} if name == "MTR_003" else set())
    sampled = masks["poisson_6.0x"]
    assert sampled[2:12, 3].all()  # every sixth of 10 x 6 is the first column
    assert sampled.sum() == 10
    options = {"mask": "stored", "acceleration": 6.0, "calibration": 2, "recipe": None}
    options |= {"root": str(out), "mask_cache": str(tmp_path / "masks")}
    options |= {"allow_duplicates": True}  # one image serves all scans of this test
    with pytest.warns(UserWarning, match="exceeds the 2 coil"):
        test = load_splits(DatasetConfig(**options)).test
    assert test.acceleration_of("MTR_003") == pytest.approx(59 / 9)


def test_part_of_skm_tea_can_be_converted(skm_tea_folder, tmp_path):
    out = tmp_path / "out"
    produce(skm_tea.SkmTeaRecipe(out=str(out), source_dir=str(skm_tea_folder), slice_step=3))
    assert read_info(out / "MTR_001.h5")[1].n_slices == 2


def test_skm_tea_says_where_the_data_are(capsys):
    said = refused(skm_tea.SkmTeaRecipe, [], capsys)
    for words in ("stanfordaimi.azurewebsites.net", "900 GB", "agreement", "files_recon_calib-24"):
        assert words in said


def test_skm_tea_files_of_another_convention_are_refused(skm_tea_folder, tmp_path, capsys):
    arguments = [f"source_dir={skm_tea_folder}", f"out={tmp_path}/out"]
    path = skm_tea_folder / "files_recon_calib-24" / "MTR_001.h5"
    with h5py.File(path, "r+") as file:
        file["kspace"][...] = np.fft.ifftshift(file["kspace"][()], (1, 2))
    said = refused(skm_tea.SkmTeaRecipe, arguments, capsys)
    assert "MTR_001.h5: the target of slice 2 differs" in said
    with h5py.File(path, "r+") as file:
        del file["maps"]
        file["maps"] = np.ones((2, 2))
    said = refused(skm_tea.SkmTeaRecipe, arguments, capsys)
    assert "maps (2, 2)" in said
    with h5py.File(path, "r+") as file:
        del file["maps"]
    assert "maps is missing" in refused(skm_tea.SkmTeaRecipe, arguments, capsys)
    path.unlink()
    said = refused(skm_tea.SkmTeaRecipe, arguments, capsys)
    assert "none of the 2 train scans" in said


def test_an_skm_tea_mask_larger_than_kspace_is_refused(skm_tea_folder, tmp_path, capsys):
    arguments = [f"source_dir={skm_tea_folder}", f"out={tmp_path}/out"]
    with h5py.File(skm_tea_folder / "files_recon_calib-24" / "MTR_003.h5", "r+") as file:
        file["masks/poisson_4.0x"] = np.ones((10, 13), bool)
    said = refused(skm_tea.SkmTeaRecipe, arguments, capsys)
    assert "masks/poisson_4.0x has shape (10, 13)" in said
    assert not (tmp_path / "out" / "MTR_003.h5").exists()


# BART


def bart_arguments(tmp_path, *extra):
    files = [
        f"{s}=[{tmp_path}/{n}.cfl]" for s, n in zip(("train", "valid", "test"), "abc", strict=True)
    ]
    return [*files, f"out={tmp_path}/out", *extra]


def test_bart_slices_with_echoes_and_maps(tmp_path):
    maps = smooth_maps(2, GRID)
    echoes = np.stack([blob_image(GRID, 0), blob_image(GRID, 1)])
    kspace = fft_centred(echoes[:, None] * maps)  # echoes, coils, x, y
    for name in "abc":
        ordered = kspace.transpose(2, 3, 1, 0)[:, :, None, :, None, :]
        write_cfl(tmp_path / name, 37 * ordered)
        write_cfl(tmp_path / f"{name}_maps", maps.transpose(1, 2, 0)[:, :, None, :])
    assert run_recipe(bart_cfl.BartRecipe, bart_arguments(tmp_path)) == 0
    assert_all_sound(tmp_path / "out", 3)
    _, found_maps, target = read(tmp_path / "out" / "a.h5")
    np.testing.assert_allclose(found_maps[0], maps, atol=1e-6)
    assert_same_up_to_scale(target[0], echoes)


def test_bart_volumes_become_hybrid_slices_without_oversampling(tmp_path):
    volume = np.stack([blob_image((14, 12), x) * (1 + x) for x in range(3)])
    padded = np.zeros((6, 14, 12), complex)
    padded[2:5] = volume
    kspace = fft_centred(padded, (0, 1, 2))
    for name in "abc":
        write_cfl(tmp_path / name, kspace)
    arguments = bart_arguments(tmp_path, "oversampling=2")
    assert run_recipe(bart_cfl.BartRecipe, arguments) == 0
    assert_all_sound(tmp_path / "out", 3)
    info, shape = read_info(tmp_path / "out" / "a.h5")
    assert (info.hybrid_axes, shape.n_slices, shape.grid) == ("x", 3, (14, 12))
    assert_same_up_to_scale(read(tmp_path / "out" / "a.h5")[2][:, 0], volume)


def test_maps_beside_the_scans_do_not_count_as_scans(tmp_path):
    maps = smooth_maps(2, GRID)
    for split in ("train", "valid", "test"):
        (tmp_path / split).mkdir()
        for name in ("a", "b", "c"):
            kspace = fft_centred(blob_image(GRID) * maps)  # coils, x, y
            path = tmp_path / split / f"{split}_{name}"
            write_cfl(path, kspace.transpose(1, 2, 0)[:, :, None, :])
            write_cfl(path.with_name(f"{path.name}_maps"), maps.transpose(1, 2, 0)[:, :, None, :])
    arguments = [f"{split}=[{tmp_path}/{split}]" for split in ("train", "valid", "test")]
    arguments += [f"out={tmp_path}/out", "max_scans=2"]
    assert run_recipe(bart_cfl.BartRecipe, arguments) == 0
    found = sorted(path.stem for path in (tmp_path / "out").glob("*.h5"))
    assert found == [f"{split}_{n}" for split in ("test", "train", "valid") for n in "ab"]


def test_bart_files_that_cannot_be_read_are_named(tmp_path, capsys):
    for name in "abc":
        write_cfl(tmp_path / name, np.ones((4, 4, 1, 1, 1, 1, 1, 3)))
    arguments = bart_arguments(tmp_path)
    said = refused(bart_cfl.BartRecipe, arguments, capsys)
    assert "BART dimensions {7: 3}" in said
    content = (tmp_path / "a.cfl").read_bytes()
    (tmp_path / "a.cfl").write_bytes(content[:-8])
    assert "truncated" in refused(bart_cfl.BartRecipe, arguments, capsys)
    (tmp_path / "a.hdr").unlink()
    assert "a.hdr is missing" in refused(bart_cfl.BartRecipe, arguments, capsys)


def test_bart_without_files_is_answered_with_help(capsys):
    assert "train=[a." in refused(bart_cfl.BartRecipe, [], capsys)


def test_downloads_have_one_place():
    assert m4raw.DOWNLOADS == mri_download.DOWNLOADS
