"""The ISMRMRD converter on tiny files with the lines of a scan."""

import numpy as np
import pytest
from mri_scans import blob_image, smooth_maps
from mri_sources import (
    GRID,
    assert_all_sound,
    assert_same_up_to_scale,
    header_xml,
    oversample,
    read,
    refused,
    write_ismrmrd,
)

from data_scripts.command_line import run_recipe
from data_scripts.mri import ismrmrd
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.schema import read_info, stored_masks


def flag(bit):
    return 1 << (bit - 1)


def slices_of(path):
    """Return k-space (slices, contrasts, coils, x, y) of a file."""
    with ismrmrd.open_ismrmrd(path) as scan:
        return np.stack([scan.read(i) for i in range(scan.shape.n_slices)])


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
    header = header_xml(n_x, n_y, 1, (GRID[0], n_y, 1), n_y - 1, n_y // 2)
    for name in "abc":
        write_ismrmrd(tmp_path / f"{name}.h5", header, lines)
    arguments = ismrmrd_arguments(tmp_path, "calibration=16", "kernel=4")
    assert run_recipe(ismrmrd.IsmrmrdRecipe, arguments) == 0
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
    header = header_xml(4, 14, 12, (4, 14, 12), 13, 7)
    for name in "abc":
        write_ismrmrd(tmp_path / f"{name}.h5", header, lines)
    assert run_recipe(ismrmrd.IsmrmrdRecipe, ismrmrd_arguments(tmp_path)) == 0
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
    header = header_xml(n_x, n_y, 1, (n_x, n_y, 1), n_y - 5, n_y // 2 - 4)
    write_ismrmrd(tmp_path / "a.h5", header, lines)
    expected = kspace.copy()
    expected[:6], expected[:, :4] = 0, 0
    np.testing.assert_allclose(slices_of(tmp_path / "a.h5")[0, 0, 0], expected, atol=1e-5)
    with ismrmrd.open_ismrmrd(tmp_path / "a.h5") as scan:
        assert scan.findings() == []


def test_ismrmrd_files_that_cannot_be_sorted_are_named(tmp_path, capsys):
    line = {"data": np.ones((1, 8)), "kspace_encode_step_1": 9}
    header = header_xml(8, 6, 1, (8, 6, 1), 5, 3)
    arguments = ismrmrd_arguments(tmp_path)
    for name in "abc":
        write_ismrmrd(tmp_path / f"{name}.h5", header, [line])
    said = refused(ismrmrd.IsmrmrdRecipe, arguments, capsys)
    assert "outside the encoded matrix (8, 6, 1)" in said
    write_ismrmrd(tmp_path / "a.h5", header, [{**line, "flags": flag(19)}])
    said = refused(ismrmrd.IsmrmrdRecipe, arguments, capsys)
    assert "no imaging lines" in said
    write_ismrmrd(tmp_path / "a.h5", header.replace("cartesian", "radial"), [line])
    said = refused(ismrmrd.IsmrmrdRecipe, arguments, capsys)
    assert "the trajectory is radial" in said
    write_ismrmrd(tmp_path / "a.h5", header.replace("encodedSpace", "other"), [line])
    said = refused(ismrmrd.IsmrmrdRecipe, arguments, capsys)
    assert "no <encodedSpace><matrixSize><x>" in said


@pytest.mark.parametrize("counter", ["phase", "set"])
def test_lines_of_several_images_are_not_mixed(tmp_path, capsys, counter):
    # as in a cine scan with shared lines: no line is measured twice
    lines = [
        {"data": np.ones((1, 8)), "kspace_encode_step_1": y, counter: 1 + y % 2} for y in range(6)
    ]
    for name in "abc":
        write_ismrmrd(tmp_path / f"{name}.h5", header_xml(8, 6, 1, (8, 6, 1), 5, 3), lines)
    arguments = ismrmrd_arguments(tmp_path)
    said = refused(ismrmrd.IsmrmrdRecipe, arguments, capsys)
    assert f"a.h5: its imaging lines have the values [1, 2] of the counter '{counter}'" in said
    assert "write the lines of each value into a file of its own" in said


@pytest.mark.parametrize(("counter", "values"), [("segment", (0, 1)), ("user", ([0] * 8, [3] * 8))])
def test_a_line_of_two_segments_is_no_average(tmp_path, counter, values):
    header = header_xml(8, 6, 1, (8, 6, 1), 5, 3)
    line = {"data": np.ones((1, 8)), "kspace_encode_step_1": 2}
    twice = [{**line, counter: value} for value in values]
    write_ismrmrd(tmp_path / "a.h5", header, twice)
    with pytest.raises(ValueError, match=f"several values for the same line.*'{counter}'"):
        slices_of(tmp_path / "a.h5")
    twice[1]["kspace_encode_step_1"] = 3
    write_ismrmrd(tmp_path / "a.h5", header, twice)
    kspace = slices_of(tmp_path / "a.h5")
    np.testing.assert_array_equal(np.flatnonzero(kspace.any((0, 1, 2, 3))), [2, 3])


def test_lines_of_another_encoding_are_not_mixed_in(tmp_path):
    # its matrix is another one, so that the same number is another place in k-space
    line = {"data": np.ones((1, 8)), "kspace_encode_step_1": 2}
    other = {**line, "encoding_space_ref": 1}
    header = header_xml(8, 6, 1, (8, 6, 1), 5, 3)
    write_ismrmrd(tmp_path / "a.h5", header, [line, other])
    with pytest.raises(ValueError, match=r"belong to the encodings \[0, 1\]"):
        slices_of(tmp_path / "a.h5")
    write_ismrmrd(tmp_path / "a.h5", header, [line, {**other, "flags": flag(20)}])
    assert np.flatnonzero(slices_of(tmp_path / "a.h5").any((0, 1, 2, 3))).tolist() == [2]


def test_averages_are_averaged_and_the_other_counters_keep_lines_apart(tmp_path):
    header = header_xml(8, 6, 1, (8, 6, 1), 5, 3)
    lines = [
        {"data": np.full((1, 8), value), "kspace_encode_step_1": 2, **counters}
        for value, counters in (
            (1, {"average": 0}),
            (4, {"average": 1}),
            (7, {"slice": 1}),
            (9, {"contrast": 1}),
            (100, {"repetition": 1, "phase": 1}),
            (200, {"flags": flag(23), "set": 1}),
        )
    ]
    write_ismrmrd(tmp_path / "a.h5", header, lines)
    found = slices_of(tmp_path / "a.h5")[:, :, 0, 4]  # slices, contrasts, y
    expected = np.zeros((2, 2, 6))
    expected[0, 0, 2], expected[1, 0, 2], expected[0, 1, 2] = 2.5, 7, 9
    np.testing.assert_array_equal(found, expected)


def test_calibration_lines_belong_to_the_image_where_the_header_says_so(tmp_path):
    header = header_xml(8, 6, 1, (8, 6, 1), 5, 3)
    mode = "<parallelImaging><calibrationMode>{}</calibrationMode></parallelImaging></encoding>"
    lines = [
        {"data": np.ones((1, 8)), "kspace_encode_step_1": y, "flags": flag(20) * (y == 3)}
        for y in (0, 2, 3, 4)
    ]
    found = {}
    for word in ("embedded", "separate"):
        stated = header.replace("</encoding>", mode.format(word))
        write_ismrmrd(tmp_path / "a.h5", stated, lines)
        found[word] = np.flatnonzero(slices_of(tmp_path / "a.h5").any((0, 1, 2, 3))).tolist()
    assert found == {"embedded": [0, 2, 3, 4], "separate": [0, 2, 4]}


def test_nothing_given_is_answered_with_help(capsys):
    assert "train=[a." in refused(ismrmrd.IsmrmrdRecipe, [], capsys)
