"""Compressed sensing is sigpy's with the DFT, and finds the image by another encoding too."""

import numpy as np
import pytest
import torch
from mri_scans import blob_image, smooth_maps

from data_scripts.mri.scanner import Scanner
from monarch_core.transforms import Dense, Fourier
from mri.models.wavelet import L1Wavelet
from mri.physics.axis_transforms import AxisTransforms, axis_transforms
from mri.physics.encoding import Sense, zero_filled_scale

GRID = (24, 17)
SCANNER = Scanner(trajectory=0.4, epi_ghost=0.5, b0_hz=10.0)


@pytest.fixture
def measured():
    maps, image = smooth_maps(3, GRID), blob_image(GRID, seed=1).astype(np.complex64)
    mask = (np.random.default_rng(2).random(GRID) < 0.6).astype(np.float32)
    return torch.from_numpy(maps), torch.from_numpy(image), torch.from_numpy(mask)


def true_encoding():
    matrices = SCANNER.columns(GRID), SCANNER.along_readout(GRID[1])
    return AxisTransforms(*(Dense.from_matrix(torch.from_numpy(A), frozen=True) for A in matrices))


def test_with_the_dft_it_is_sigpy_called_directly(measured):
    from sigpy.mri.app import L1WaveletRecon

    maps, image, mask = measured
    fft = axis_transforms(Fourier, GRID)
    kspace = Sense(maps, mask, fft).forward(image[None])
    ours = L1Wavelet(fft, [3e-3], 20)(kspace[None], maps[None], mask[None])[0, 0]
    scale = float(zero_filled_scale(kspace))
    theirs = L1WaveletRecon(
        kspace[0].numpy() / scale,
        maps.numpy(),
        3e-3,
        weights=mask.numpy(),
        max_iter=20,
        alpha=1 / float(maps.abs().square().sum(0).max()),
        show_pbar=False,
    ).run()
    np.testing.assert_allclose(ours.numpy(), theirs * scale, atol=1e-5)


def test_the_true_encoding_of_a_scanner_is_used_and_the_steps_stay_stable(measured):
    maps, image, mask = measured
    transform = true_encoding()
    kspace = Sense(maps, mask, transform).forward(image[None])
    errors = {
        name: float(
            (L1Wavelet(A, [1e-4], 300)(kspace[None], maps[None], mask[None]) - image).norm()
        )
        for name, A in (("true", transform), ("fft", axis_transforms(Fourier, GRID)))
    }
    assert errors["true"] < 0.02 * float(image.norm())
    assert errors["fft"] > 0.2 * float(image.norm())


def test_the_gradient_step_is_that_of_the_largest_singular_value():
    from mri.models.wavelet import _largest_eigenvalue

    like = torch.zeros(1, dtype=torch.complex64)
    assert _largest_eigenvalue(axis_transforms(Fourier, GRID), like) == pytest.approx(1, abs=1e-6)
    transform = true_encoding()
    units = torch.eye(GRID[0] * GRID[1], dtype=torch.complex64).unflatten(1, GRID)
    truth = float(torch.linalg.matrix_norm(transform(units).flatten(1), 2)) ** 2
    assert _largest_eigenvalue(transform, like) == pytest.approx(truth, rel=0.03)
