"""Each error of a scanner against a formula of its own, and the matrices against the encoding."""

import dataclasses
import json

import numpy as np
import pytest

from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.scanner import ERRORS, Scanner

GRID = (15, 12)
N, M = GRID
K, Z = np.arange(N) - N // 2, np.arange(M) - M // 2
EVERYTHING = Scanner(
    trajectory=0.4,
    gradient_delay=-0.7,
    epi_delay=0.3,
    epi_ghost=0.6,
    eddy_phase=-0.5,
    b0_hz=20.0,
    gradient_nonlinearity=1.1,
    line_ms=0.8,
    map_seed=5,
)


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((2, *GRID)) + 1j * rng.standard_normal((2, *GRID))).astype(
        np.complex64
    )


def gaussian(n, width=4.0, centre=0.0):
    return np.exp(-(((np.arange(n) - n // 2 - centre) / width) ** 2))


def test_an_ideal_scanner_measures_the_dft(image):
    np.testing.assert_array_equal(Scanner().encode(image), fft_centred(image))
    np.testing.assert_array_equal(Scanner(line_ms=3, map_seed=4).encode(image), fft_centred(image))
    nearly = Scanner(**dict.fromkeys(ERRORS, 1e-9)).encode(image)
    np.testing.assert_allclose(nearly, fft_centred(image), atol=1e-5)


def test_displaced_lines_are_the_transform_between_the_samples():
    n = 32
    k = np.arange(n) - n // 2
    kspace = Scanner(trajectory=0.4).encode(gaussian(n)[:, None] * np.ones((1, 3)))
    k = k + 0.4 * np.sin(2 * np.pi * (k / n + 0.15))
    # the continuous transform of a Gaussian, times sqrt(3) of the constant along z
    expected = 4 * np.sqrt(np.pi / n) * np.exp(-((np.pi * 4 * k / n) ** 2)) * np.sqrt(3)
    np.testing.assert_allclose(kspace[:, 1], expected, atol=1e-4)


def test_a_delay_of_the_readout_is_a_phase_ramp_along_it(image):
    ramp = np.exp(-2j * np.pi * 0.7 * Z / M)
    expected = fft_centred(image * ramp)
    np.testing.assert_allclose(Scanner(gradient_delay=0.7).encode(image), expected, atol=1e-5)
    whole = Scanner(gradient_delay=2.0).encode(image)  # whole samples: the readout starts later
    np.testing.assert_allclose(whole[..., :-2], fft_centred(image)[..., 2:], atol=1e-5)


def test_forth_and_back_the_delay_has_either_sign_in_turn(image):
    kspace = Scanner(epi_delay=0.3).encode(image)
    for parity, sign in ((0, 1), (1, -1)):
        lines = parity == K % 2
        expected = Scanner(gradient_delay=sign * 0.3).encode(image)
        np.testing.assert_allclose(kspace[:, lines], expected[:, lines], atol=1e-5)


def test_a_ghost_lies_half_a_field_of_view_away():
    image = np.zeros((16, 5), np.complex64)
    image[3:6, 2] = [1, 2, 1j]
    ghosted = ifft_centred(Scanner(epi_ghost=0.6).encode(image))
    expected = np.cos(0.3) * image + 1j * np.sin(0.3) * np.roll(image, 8, axis=0)
    np.testing.assert_allclose(ghosted, expected, atol=1e-6)


def test_an_eddy_current_turns_the_first_line_most_and_decays(image):
    turn = np.angle(Scanner(eddy_phase=0.8).encode(image) / fft_centred(image))
    np.testing.assert_allclose(turn[:, 0], 0.8, atol=1e-4)
    third = N // 3
    np.testing.assert_allclose(turn[:, third], 0.8 / np.e, atol=1e-4)
    np.testing.assert_allclose(turn[:, 2 * third], 0.8 / np.e**2, atol=1e-4)


def test_uniform_off_resonance_shifts_the_image(image, monkeypatch):
    monkeypatch.setattr(
        "data_scripts.mri.scanner.smooth_field", lambda grid, *_, **__: np.ones(grid)
    )
    # f t = f k line_ms is a shift by n f line_ms: here three pixels
    scanner = Scanner(b0_hz=3 / (N * 0.8e-3), line_ms=0.8)
    shifted = ifft_centred(scanner.encode(image))
    np.testing.assert_allclose(shifted, np.roll(image, 3, axis=-2), atol=1e-5)


def test_off_resonance_is_a_field_in_hertz_seen_at_the_time_of_the_line():
    scanner = Scanner(b0_hz=20.0, line_ms=0.8, map_seed=3)
    field = scanner.field(GRID)
    assert np.abs(field).max() == pytest.approx(20)
    point = np.zeros(GRID, np.complex64)
    point[4, 7] = 1
    turn = np.exp(-2j * np.pi * field[4, 7] * 0.8e-3 * K)
    expected = fft_centred(point) * turn[:, None]
    np.testing.assert_allclose(scanner.encode(point), expected, atol=1e-6)


def test_a_point_under_a_nonlinear_gradient_is_a_point_elsewhere():
    n = 33
    y = 12  # from the centre, so that it is moved by 2 (24 / 33)^3
    point = np.zeros((n, 3))
    point[n // 2 + y, 1] = 1
    kspace = Scanner(gradient_nonlinearity=2.0).encode(point)[:, 1]
    k = np.arange(n) - n // 2
    place = y + 2 * (2 * y / n) ** 3
    expected = np.exp(-2j * np.pi * k * place / n) / np.sqrt(3 * n)
    np.testing.assert_allclose(kspace, expected, atol=1e-6)


@pytest.mark.parametrize(
    "scanner",
    [Scanner(), Scanner(trajectory=0.4, gradient_delay=0.2), EVERYTHING],
    ids=["ideal", "same columns", "everything"],
)
def test_the_matrices_are_the_encoding(image, scanner):
    columns = scanner.columns(GRID)
    assert columns.dtype == np.complex128
    assert len(columns) == (M if scanner is EVERYTHING else 1)
    each = np.broadcast_to(columns, (M, N, N))
    expected = np.einsum("lz,zky,eyz->ekl", scanner.along_readout(M), each, image)
    np.testing.assert_allclose(scanner.encode(image), expected, atol=1e-5)


def test_a_scan_remembers_its_scanner_to_the_last_bit(image):
    drawn = EVERYTHING.drawn(np.random.default_rng(1))
    details = json.loads(json.dumps({"scanner": dataclasses.asdict(drawn)}))
    again = Scanner.of_scan(details)
    np.testing.assert_array_equal(again.encode(image), drawn.encode(image))
    assert Scanner.of_scan({"recipe": {}}) is None
    for damaged in ({"trajectory": "half"}, {"tilt": 1.0}, [0.5]):
        with pytest.raises(ValueError, match=r"details.scanner is no scanner .*prepare the scan"):
            Scanner.of_scan({"scanner": damaged})


def test_drawn_scanners_differ_in_size_sign_and_map():
    drawn = [EVERYTHING.drawn(np.random.default_rng(seed)) for seed in range(40)]
    for name in ERRORS:
        share = np.array([getattr(scanner, name) for scanner in drawn]) / getattr(EVERYTHING, name)
        assert ((np.abs(share) >= 0.5) & (np.abs(share) <= 1)).all()
        assert 5 < (share > 0).sum() < 35
    assert len({scanner.map_seed for scanner in drawn}) == 40
    assert {scanner.line_ms for scanner in drawn} == {0.8}
    assert Scanner(trajectory=0.5).drawn(np.random.default_rng(0)).b0_hz == 0
