"""Small source files for the tests of the MRI converters, and what all converters must achieve."""

import json

import h5py
import numpy as np
from mri_scans import blob_image, smooth_maps

from data_scripts.command_line import run_recipe
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.schema_check import check_scan

GRID = (24, 20)  # readout without oversampling, phase encoding


def coil_images(n_slices=2, n_coils=1, grid=GRID, seed=0):
    """Return images (slices, coils, y, z) of smooth blobs."""
    images = np.stack([blob_image(grid, seed + i) for i in range(n_slices)])[:, None]
    maps = smooth_maps(n_coils, grid) if n_coils > 1 else np.ones((1, *grid))
    return (images * maps).astype(np.complex64)


def head(grid, n_coils=1, noise=0.02, seed=0):
    """Return noisy k-space (coils, y, z) and maps of a textured head of magnitude about one."""
    rng = np.random.default_rng(seed)
    y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in grid), indexing="ij")
    image = ((y / 0.75) ** 2 + (z / 0.62) ** 2 < 1) * (0.5 + 0.5 * (np.hypot(y, z) < 0.4))
    for _ in range(30):
        a, b = rng.uniform(-0.5, 0.5, 2)
        image = image * (1 + 0.2 * rng.normal() * (np.hypot(y - a, z - b) < 0.1))
    image = image * np.exp(1j * (0.7 * y - 0.4 * z**2))
    maps = smooth_maps(n_coils, grid, seed) if n_coils > 1 else np.ones((1, *grid), np.complex64)
    draws = rng.standard_normal((2, n_coils, *grid))
    kspace = fft_centred(maps * image) + noise * (draws[0] + 1j * draws[1])
    return kspace.astype(np.complex64), maps


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


def refused(schema, arguments, capsys):
    """Return what a data script says when it fails."""
    assert run_recipe(schema, arguments) == 1
    return capsys.readouterr().err


def write_fastmri(path, images, padded=0, **attributes):
    path.parent.mkdir(parents=True, exist_ok=True)
    kspace = oversample(images).astype(np.complex64)
    kspace[..., :padded] = 0
    if images.shape[1] == 1:
        kspace = kspace[:, 0]
    n_x, n_y = kspace.shape[-2:]
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        file["reconstruction_esc"] = np.abs(images[:, 0])
        last, center = n_y - 1 - padded, n_y // 2 - padded
        file["ismrmrd_header"] = header_xml(n_x, n_y, 1, (n_x // 2, n_y, 1), last, center)
        file.attrs.update(attributes)


def write_cfl(path, data):
    data = np.asarray(data, np.complex64)
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, data.shape)) + "\n")
    path.with_suffix(".cfl").write_bytes(data.tobytes(order="F"))


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
        ("encoding_space_ref", "<u2"),
        ("idx", np.dtype([*COUNTERS, ("user", "<u2", (8,))])),
    ]
)


def kspace_lines(kspace):
    """Return the lines of a 2-D scan (coils, x, y), one per column."""
    return [{"data": kspace[:, :, y], "kspace_encode_step_1": y} for y in range(kspace.shape[-1])]


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


# in the middle of (14, 12), without a corner
SKM_TEA_ACQUIRED = np.zeros((14, 12), bool)
SKM_TEA_ACQUIRED[2:12, 3:9] = True
SKM_TEA_ACQUIRED[2, 3] = False


def write_skm_tea(folder, name, masks=(), n_x=4, n_y=14, n_z=12, n_coils=2):
    """Write a scan as published: zero-padded, with masks on the grid before padding."""
    maps = np.stack([smooth_maps(n_coils, (n_y, n_z), seed=x) for x in range(n_x)])
    echoes = np.stack(
        [np.stack([blob_image((n_y, n_z), 2 * x + e) for e in range(2)]) for x in range(n_x)]
    )
    kspace = fft_centred(echoes[:, :, None] * maps[:, None]).astype(np.complex64)
    kspace[..., ~SKM_TEA_ACQUIRED] = 0
    target = (ifft_centred(kspace) * maps[:, None].conj()).sum(2)
    with h5py.File(folder / "files_recon_calib-24" / name, "w") as file:
        file["kspace"] = kspace.transpose(0, 3, 4, 1, 2)
        file["maps"] = maps.transpose(0, 2, 3, 1)[..., None]
        file["target"] = target.transpose(0, 2, 3, 1)[..., None].astype(np.complex64)
        for mask in masks:
            file[f"masks/{mask}"] = np.arange(10 * 6).reshape(10, 6) % 6 == 0
    return target, maps


def write_skm_tea_folder(folder):
    """Lay out three scans, one of each split, and the name of one that was not unpacked."""
    (folder / "files_recon_calib-24").mkdir(parents=True)
    (folder / "annotations" / "v1.0.0").mkdir(parents=True)
    for split, names in {"train": (1, 5), "val": (2,), "test": (3,)}.items():
        images = [{"file_name": f"MTR_{n:03d}.h5"} for n in names]
        annotations = folder / "annotations" / "v1.0.0" / f"{split}.json"
        annotations.write_text(json.dumps({"images": images}))
    for n in (1, 2):
        write_skm_tea(folder, f"MTR_{n:03d}.h5")
    write_skm_tea(folder, "MTR_003.h5", masks=["poisson_6.0x"])
    return folder
