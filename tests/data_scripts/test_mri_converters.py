"""Each converter on a tiny file in the layout of its source."""

import hashlib
import json
import zipfile

import h5py
import numpy as np
import pytest
from mri_scans import blob_image, smooth_maps

from data_scripts import bart_cfl, fastmri, ismrmrd, m4raw, mri_download, skm_tea
from data_scripts.command_line import run_script
from mri.centred_fft import fft_centred, ifft_centred
from mri.schema import read_info, stored_masks
from mri.schema_check import check_scan

GRID = (24, 20)  # readout without oversampling, phase encoding


def coil_images(n_slices=2, n_coils=1, grid=GRID, seed=0):
    images = np.stack([blob_image(grid, seed + i) for i in range(n_slices)])[:, None]
    maps = smooth_maps(n_coils, grid) if n_coils > 1 else np.ones((1, *grid))
    return (images * maps).astype(np.complex64)


def oversample(images):
    """Return k-space of images in a field of view twice as long along the first axis."""
    n = images.shape[-2]
    return fft_centred(np.pad(images, [(0, 0)] * (images.ndim - 2) + [(n // 2, n // 2), (0, 0)]))


def xml(x, y, z, recon, maximum, center):
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


def write_fastmri(path, images, padded=0, **attributes):
    path.parent.mkdir(parents=True, exist_ok=True)
    kspace = oversample(images).astype(np.complex64)
    kspace[..., :padded] = 0
    if images.shape[1] == 1:
        kspace = kspace[:, 0]
    n_x, n_y = kspace.shape[-2:]
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        last, center = n_y - 1 - padded, n_y // 2 - padded
        file["ismrmrd_header"] = xml(n_x, n_y, 1, (n_x // 2, n_y, 1), last, center)
        file.attrs.update(attributes)


def read(path):
    with h5py.File(path) as file:
        return tuple(file[name][()] for name in ("kspace", "maps", "target"))


def assert_same_up_to_scale(found, expected):
    factor = np.vdot(expected, found) / np.vdot(expected, expected)
    np.testing.assert_allclose(found, factor * expected, atol=2e-3 * np.abs(found).max())


def assert_all_sound(out, n_scans):
    paths = sorted(out.glob("*.h5"))
    assert len(paths) == n_scans
    assert [problem for path in paths for problem in check_scan(path)] == []
    assert (out / "metadata.yaml").is_file()


# fastMRI


def test_fastmri_volumes_lose_oversampling_and_keep_their_patients_apart(tmp_path):
    images = coil_images()
    write_fastmri(tmp_path / "train" / "file1.h5", images, acquisition="CORPD_FBK", patient_id="a")
    for i, patient in enumerate("bbcc"):
        write_fastmri(tmp_path / "val" / f"file{i + 2}.h5", coil_images(seed=i), patient_id=patient)
    out = tmp_path / "out"
    config = fastmri.FastMriConfig(
        out=str(out), train=[str(tmp_path / "train")], valid=[str(tmp_path / "val")]
    )
    fastmri.main(config)
    assert_all_sound(out, 5)
    info, shape = read_info(out / "file1.h5")
    assert info.echo_names == ("CORPD_FBK",)
    assert (shape.n_coils, shape.grid) == (1, GRID)
    assert_same_up_to_scale(read(out / "file1.h5")[2], images[:, 0:1])
    splits = {i: read_info(out / f"file{i}.h5")[0].split for i in range(2, 6)}
    assert splits == {2: "valid", 3: "valid", 4: "test", 5: "test"}
    stamp = (out / "file1.h5").stat().st_mtime_ns
    fastmri.main(config)
    assert (out / "file1.h5").stat().st_mtime_ns == stamp


def test_fastmri_coil_maps_are_estimated_and_padding_is_remembered(tmp_path):
    images = coil_images(n_slices=1, n_coils=3, grid=(32, 28))
    for name in ("a", "b", "c"):
        write_fastmri(tmp_path / f"{name}.h5", images, padded=2)
    out = tmp_path / "out"
    files = {
        split: [str(tmp_path / f"{n}.h5")]
        for split, n in zip(("train", "valid", "test"), "abc", strict=True)
    }
    fastmri.main(
        fastmri.FastMriConfig(out=str(out), calibration=16, kernel=4, target="rss", **files)
    )
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
    fastmri.main(
        fastmri.FastMriConfig(
            out=str(out), width=18, height=16, test=[str(tmp_path / "c.h5")], **files
        )
    )
    assert_all_sound(out, 3)
    assert_same_up_to_scale(
        read(out / "c.h5")[2][:, 0], coil_images(grid=(24, 24))[:, 0, 4:20, 3:21]
    )


def refused(script, schema, arguments, capsys):
    assert run_script(script, schema, arguments) == 1
    return capsys.readouterr().err


def test_fastmri_says_where_the_data_are(capsys):
    said = refused(fastmri.main, fastmri.FastMriConfig, [], capsys)
    assert "https://fastmri.med.nyu.edu" in said
    assert "no redistribution" in said
    assert "1.2 TB" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.create_dataset("mask", data=np.ones(20)), "is undersampled"),
        (lambda file: file.pop("kspace"), "has no 'kspace'"),
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
    assert message in refused(fastmri.main, fastmri.FastMriConfig, arguments, capsys)
    assert not list((tmp_path / "out").glob("*.h5"))


def test_kspace_that_is_not_centred_is_refused(tmp_path, capsys):
    for name in "abc":
        write_fastmri(tmp_path / f"{name}.h5", coil_images())
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["kspace"][...] = np.fft.ifftshift(file["kspace"][()], (-2, -1))
    arguments = [f"train=[{tmp_path}/a.h5]", f"valid=[{tmp_path}/b.h5]"]
    arguments += [f"test=[{tmp_path}/c.h5]", f"out={tmp_path}/out"]
    said = refused(fastmri.main, fastmri.FastMriConfig, arguments, capsys)
    assert "a: k-space peaks at" in said
    assert not list((tmp_path / "out").iterdir())


def test_a_patient_in_two_splits_is_refused(tmp_path, capsys):
    for name in "abc":
        write_fastmri(tmp_path / f"{name}.h5", coil_images(), patient_id="one")
    arguments = [f"train=[{tmp_path}/a.h5]", f"valid=[{tmp_path}/b.h5]"]
    arguments += [f"test=[{tmp_path}/c.h5]", f"out={tmp_path}/out"]
    said = refused(fastmri.main, fastmri.FastMriConfig, arguments, capsys)
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
    assert run_script(m4raw.main, m4raw.M4RawConfig, arguments) == 0
    assert_all_sound(out, 3)
    info, _ = read_info(out / "2022061002_T101.h5")
    assert (info.split, info.licence) == ("valid", "cc-by-4.0")
    assert read_info(out / "2022061003_T201.h5")[0].split == "test"


def test_a_broken_m4raw_archive_is_refused(mirror, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(m4raw, "DOWNLOADS", tmp_path / "downloads")
    archive = mirror / "M4Raw_multicoil_val.zip"
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    arguments = [f"out={tmp_path}/out", f"mirror={mirror}"]
    assert "checksum is not md5:" in refused(m4raw.main, m4raw.M4RawConfig, arguments, capsys)


def test_m4raw_asks_for_the_record_with_the_checksums(tmp_path, capsys):
    said = refused(m4raw.main, m4raw.M4RawConfig, [f"mirror={tmp_path}"], capsys)
    assert "record.json could not be read" in said


# SKM-TEA


def write_skm_tea(folder, name, n_x=4, n_y=14, n_z=12, n_coils=2):
    maps = np.stack([smooth_maps(n_coils, (n_y, n_z), seed=x) for x in range(n_x)])
    echoes = np.stack(
        [np.stack([blob_image((n_y, n_z), 2 * x + e) for e in range(2)]) for x in range(n_x)]
    )
    kspace = fft_centred(echoes[:, :, None] * maps[:, None])
    with h5py.File(folder / "files_recon_calib-24" / name, "w") as file:
        file["kspace"] = kspace.transpose(0, 3, 4, 1, 2).astype(np.complex64)
        file["maps"] = maps.transpose(0, 2, 3, 1)[..., None]
        file["target"] = echoes.transpose(0, 2, 3, 1)[..., None].astype(np.complex64)
        file["masks/poisson_6.0x"] = (np.arange(n_y * n_z) % 6 == 0).reshape(n_y, n_z)
    return echoes, maps


@pytest.fixture
def skm_tea_folder(tmp_path):
    folder = tmp_path / "skm-tea"
    (folder / "files_recon_calib-24").mkdir(parents=True)
    (folder / "annotations" / "v1.0.0").mkdir(parents=True)
    for split, names in {"train": (1, 5), "val": (2,), "test": (3,)}.items():
        images = [{"file_name": f"MTR_{n:03d}.h5"} for n in names]
        annotations = folder / "annotations" / "v1.0.0" / f"{split}.json"
        annotations.write_text(json.dumps({"images": images}))
    for n in (1, 2, 3):
        write_skm_tea(folder, f"MTR_{n:03d}.h5")
    return folder


def test_skm_tea_scans_keep_maps_targets_and_masks(skm_tea_folder, tmp_path):
    out = tmp_path / "out"
    skm_tea.main(skm_tea.SkmTeaConfig(out=str(out), source_dir=str(skm_tea_folder)))
    assert_all_sound(out, 3)  # MTR_005 is in the annotations, but was not unpacked
    info, shape = read_info(out / "MTR_003.h5")
    assert (info.split, info.hybrid_axes, info.target_kind) == ("test", "x", "source")
    assert (shape.n_slices, shape.n_echoes, shape.n_coils, shape.grid) == (4, 2, 2, (14, 12))
    echoes, expected_maps = write_skm_tea(skm_tea_folder, "MTR_003.h5")
    kspace, maps, target = read(out / "MTR_003.h5")
    np.testing.assert_allclose(target * info.scale, echoes, atol=1e-5)
    np.testing.assert_allclose(maps, expected_maps, atol=1e-6)
    combined = (maps[:, None].conj() * ifft_centred(kspace)).sum(2)
    np.testing.assert_allclose(combined, target, atol=1e-4)
    assert stored_masks(out / "MTR_003.h5")["poisson_6.0x"].sum() == 28


def test_part_of_skm_tea_can_be_converted(skm_tea_folder, tmp_path):
    out = tmp_path / "out"
    skm_tea.main(skm_tea.SkmTeaConfig(out=str(out), source_dir=str(skm_tea_folder), slice_step=3))
    assert read_info(out / "MTR_001.h5")[1].n_slices == 2


def test_skm_tea_says_where_the_data_are(capsys):
    said = refused(skm_tea.main, skm_tea.SkmTeaConfig, [], capsys)
    for words in ("stanfordaimi.azurewebsites.net", "900 GB", "agreement", "files_recon_calib-24"):
        assert words in said


def test_skm_tea_files_of_another_convention_are_refused(skm_tea_folder, tmp_path, capsys):
    arguments = [f"source_dir={skm_tea_folder}", f"out={tmp_path}/out"]
    path = skm_tea_folder / "files_recon_calib-24" / "MTR_001.h5"
    with h5py.File(path, "r+") as file:
        file["kspace"][...] = np.fft.ifftshift(file["kspace"][()], (1, 2))
    said = refused(skm_tea.main, skm_tea.SkmTeaConfig, arguments, capsys)
    assert "MTR_001.h5: the target of slice 2 differs" in said
    with h5py.File(path, "r+") as file:
        del file["maps"]
        file["maps"] = np.ones((2, 2))
    said = refused(skm_tea.main, skm_tea.SkmTeaConfig, arguments, capsys)
    assert "maps (2, 2)" in said
    with h5py.File(path, "r+") as file:
        del file["maps"]
    assert "lacks ['maps']" in refused(skm_tea.main, skm_tea.SkmTeaConfig, arguments, capsys)
    path.unlink()
    said = refused(skm_tea.main, skm_tea.SkmTeaConfig, arguments, capsys)
    assert "none of the 2 train scans" in said


# BART


def write_cfl(path, data):
    data = np.asarray(data, np.complex64)
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, data.shape)) + "\n")
    path.with_suffix(".cfl").write_bytes(data.tobytes(order="F"))


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
    assert run_script(bart_cfl.main, bart_cfl.BartConfig, bart_arguments(tmp_path)) == 0
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
    assert run_script(bart_cfl.main, bart_cfl.BartConfig, arguments) == 0
    assert_all_sound(tmp_path / "out", 3)
    info, shape = read_info(tmp_path / "out" / "a.h5")
    assert (info.hybrid_axes, shape.n_slices, shape.grid) == ("x", 3, (14, 12))
    assert_same_up_to_scale(read(tmp_path / "out" / "a.h5")[2][:, 0], volume)


def test_bart_files_that_cannot_be_read_are_named(tmp_path, capsys):
    for name in "abc":
        write_cfl(tmp_path / name, np.ones((4, 4, 1, 1, 1, 1, 1, 3)))
    arguments = bart_arguments(tmp_path)
    said = refused(bart_cfl.main, bart_cfl.BartConfig, arguments, capsys)
    assert "BART dimensions {7: 3}" in said
    content = (tmp_path / "a.cfl").read_bytes()
    (tmp_path / "a.cfl").write_bytes(content[:-8])
    assert "truncated" in refused(bart_cfl.main, bart_cfl.BartConfig, arguments, capsys)
    (tmp_path / "a.hdr").unlink()
    assert "a.hdr is missing" in refused(bart_cfl.main, bart_cfl.BartConfig, arguments, capsys)


# ISMRMRD


COUNTERS = [("kspace_encode_step_1", "<u2"), ("kspace_encode_step_2", "<u2"), ("average", "<u2")]
COUNTERS += [(n, "<u2") for n in ("slice", "contrast", "phase", "repetition", "set", "segment")]
HEAD = np.dtype(
    [
        ("version", "<u2"),
        ("flags", "<u8"),
        ("number_of_samples", "<u2"),
        ("active_channels", "<u2"),
        ("discard_pre", "<u2"),
        ("discard_post", "<u2"),
        ("center_sample", "<u2"),
        ("idx", np.dtype([*COUNTERS, ("user", "<u2", (8,))])),
    ]
)


def write_ismrmrd(path, header, lines):
    """Write acquisitions: dicts with `data` (coils, samples) and header values."""
    floats = h5py.vlen_dtype(np.dtype("float32"))
    kind = np.dtype([("head", HEAD), ("traj", floats), ("data", floats)])
    rows = np.zeros(len(lines), kind)
    for row, line in zip(rows, lines, strict=True):
        samples = np.ascontiguousarray(line["data"], np.complex64)
        row["head"]["active_channels"], row["head"]["number_of_samples"] = samples.shape
        row["head"]["center_sample"] = samples.shape[1] // 2
        for name, value in line.items():
            if name in HEAD.names:
                row["head"][name] = value
            elif name != "data":
                row["head"]["idx"][name] = value
        row["data"], row["traj"] = samples.view(np.float32).ravel(), np.zeros(0, np.float32)
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=[header], dtype=h5py.string_dtype())
        group.create_dataset("data", data=rows, maxshape=(None,))


def flag(bit):
    return 1 << (bit - 1)


def ismrmrd_arguments(tmp_path, *extra):
    files = [
        f"{s}=[{tmp_path}/{n}.h5]" for s, n in zip(("train", "valid", "test"), "abc", strict=True)
    ]
    return [*files, f"out={tmp_path}/out", *extra]


def test_ismrmrd_slices_are_sorted_whitened_and_cropped(tmp_path):
    rng = np.random.default_rng(0)
    maps = smooth_maps(2, GRID)
    images = np.stack([blob_image(GRID, s) for s in range(2)])
    kspace = oversample(images[:, None] * maps)  # slices, coils, x, y
    mixing = np.array([[2.0, 0.0], [1.0, 0.5]])  # correlated noise, unequal gain
    white = rng.standard_normal((2, 4000)) + 1j * rng.standard_normal((2, 4000))
    lines = [{"data": mixing @ white / np.sqrt(2), "flags": flag(19)}]
    for s in range(2):
        for y in rng.permutation(GRID[1]):
            line = {"data": mixing @ kspace[s, :, :, y], "slice": s, "kspace_encode_step_1": y}
            if y % 2:
                line["data"] = line["data"][:, ::-1]
                line["flags"], line["center_sample"] = flag(22), GRID[0] - 1
            lines.append(line)
    lines.append({"data": 1e3 * np.ones((2, 2 * GRID[0])), "flags": flag(23)})
    n_x, n_y = 2 * GRID[0], GRID[1]
    header = xml(n_x, n_y, 1, (GRID[0], n_y, 1), n_y - 1, n_y // 2)
    for name in "abc":
        write_ismrmrd(tmp_path / f"{name}.h5", header, lines)
    arguments = ismrmrd_arguments(tmp_path, "calibration=16", "kernel=4")
    assert run_script(ismrmrd.main, ismrmrd.IsmrmrdConfig, arguments) == 0
    assert_all_sound(tmp_path / "out", 3)
    info, shape = read_info(tmp_path / "out" / "a.h5")
    assert info.details["whitened"]
    assert (shape.n_slices, shape.n_coils, shape.grid) == (2, 2, GRID)
    found = ifft_centred(read(tmp_path / "out" / "a.h5")[0])[:, 0] * info.scale
    energy = (np.abs(found) ** 2).sum(1)
    np.testing.assert_allclose(energy, np.abs(images) ** 2, rtol=0.1, atol=0.02)


def test_ismrmrd_volumes_become_hybrid_slices_with_their_gaps(tmp_path):
    volume = np.stack([blob_image((14, 12), x) * (1 + x) for x in range(4)])
    kspace = fft_centred(volume, (0, 1, 2))  # x, y, z
    lines = []
    for y in range(14):
        for z in range(12):
            corner = np.hypot(y - 7, z - 6) > 7.5
            if not corner:
                step = {"kspace_encode_step_1": y, "kspace_encode_step_2": z}
                n_averages = 1 + y % 2
                line = {"data": kspace[None, :, y, z], **step}
                lines += [{**line, "average": i} for i in range(n_averages)]
    header = xml(4, 14, 12, (4, 14, 12), 13, 7)
    for name in "abc":
        write_ismrmrd(tmp_path / f"{name}.h5", header, lines)
    assert run_script(ismrmrd.main, ismrmrd.IsmrmrdConfig, ismrmrd_arguments(tmp_path)) == 0
    assert_all_sound(tmp_path / "out", 3)
    info, _ = read_info(tmp_path / "out" / "a.h5")
    assert (info.hybrid_axes, info.details["whitened"]) == ("x", False)
    acquired = stored_masks(tmp_path / "out" / "a.h5")["acquired"]
    assert acquired.sum() == sum(line["average"] == 0 for line in lines)
    hybrid = fft_centred(volume) * acquired
    assert_same_up_to_scale(read(tmp_path / "out" / "a.h5")[0][:, 0, 0], hybrid)


def test_partial_echoes_and_fewer_lines_land_at_the_centre(tmp_path):
    image = blob_image(GRID)
    kspace = fft_centred(image)
    n_x, n_y = GRID
    lines = [
        {
            "data": np.pad(kspace[None, 6:, y], ((0, 0), (2, 3))),
            "kspace_encode_step_1": y - 4,
            "discard_pre": 2,
            "discard_post": 3,
            "center_sample": n_x // 2 - 6 + 2,
        }
        for y in range(4, n_y)
    ]
    header = xml(n_x, n_y, 1, (n_x, n_y, 1), n_y - 5, n_y // 2 - 4)
    write_ismrmrd(tmp_path / "a.h5", header, lines)
    measured = ismrmrd.read_measurement(tmp_path / "a.h5")
    expected = kspace.copy()
    expected[:6], expected[:, :4] = 0, 0
    np.testing.assert_allclose(measured.kspace[0, 0, 0, :, :, 0], expected, atol=1e-5)
    np.testing.assert_array_equal(measured.sampled[:, 0], np.arange(n_y) >= 4)


def test_ismrmrd_files_that_cannot_be_sorted_are_named(tmp_path, capsys):
    line = {"data": np.ones((1, 8)), "kspace_encode_step_1": 9}
    header = xml(8, 6, 1, (8, 6, 1), 5, 3)
    arguments = ismrmrd_arguments(tmp_path)
    for name in "abc":
        write_ismrmrd(tmp_path / f"{name}.h5", header, [line])
    said = refused(ismrmrd.main, ismrmrd.IsmrmrdConfig, arguments, capsys)
    assert "outside the encoded matrix (8, 6, 1)" in said
    write_ismrmrd(tmp_path / "a.h5", header, [{**line, "flags": flag(19)}])
    said = refused(ismrmrd.main, ismrmrd.IsmrmrdConfig, arguments, capsys)
    assert "no imaging lines" in said
    write_ismrmrd(tmp_path / "a.h5", header.replace("cartesian", "radial"), [line])
    said = refused(ismrmrd.main, ismrmrd.IsmrmrdConfig, arguments, capsys)
    assert "the trajectory is radial" in said
    write_ismrmrd(tmp_path / "a.h5", header.replace("encodedSpace", "other"), [line])
    said = refused(ismrmrd.main, ismrmrd.IsmrmrdConfig, arguments, capsys)
    assert "no <encodedSpace><matrixSize><x>" in said


def test_nothing_given_is_answered_with_help(capsys):
    for module, schema in ((bart_cfl, bart_cfl.BartConfig), (ismrmrd, ismrmrd.IsmrmrdConfig)):
        assert "train=[a." in refused(module.main, schema, [], capsys)


def test_downloads_have_one_place():
    assert m4raw.DOWNLOADS == mri_download.DOWNLOADS
