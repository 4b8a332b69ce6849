import copy

import numpy as np
import pytest
import torch
from torch import nn

from monarch_core import MonarchSpectralConv
from monarch_core.training.modes_portrait import portray_in_modes
from monarch_core.training.portrait import distances, portray_transforms
from monarch_core.transforms import Dense, Fourier, Monarch


def model():
    return nn.ModuleDict(
        {
            "first": Monarch(16, modes=range(-3, 3), dtype=torch.float64),
            "second": Monarch(16, inverse=True, modes=range(-3, 3), dtype=torch.float64),
        }
    )


def test_distances_are_relative_to_the_start():
    start = model()
    trained = copy.deepcopy(start)
    with torch.no_grad():
        trained["first"].L *= 1.25
        trained["second"].L *= 0.9
    table, basis = portray_transforms(trained, start)
    moved = {name: numbers for name, *numbers in table.rows}
    assert moved["first"] == pytest.approx([16, 0.25, 1.25**2 - 1])  # A A^H grows by the square
    assert moved["second"] == pytest.approx([16, 0.1, 1 - 0.9**2])
    torch.testing.assert_close(basis.rows, 1.25 * basis.start_rows)
    torch.testing.assert_close(basis.spectrum, 1.25 * basis.start_spectrum)
    assert basis.title == "first, 16 points, moved by 25% of its start"


def test_an_untrained_transform_has_one_frequency_per_row():
    start = model()
    table, basis = portray_transforms(start, start)
    assert all(distance == departure == 0 for *_, distance, departure in table.rows)
    assert basis.frequencies.tolist() == list(range(-8, 8))
    one = basis.frequencies == np.arange(-3, 3)[:, None]  # by frequency, whatever their order
    np.testing.assert_allclose(basis.spectrum, one, atol=1e-6)
    np.testing.assert_allclose(basis.start_spectrum, one, atol=1e-6)
    assert basis.shown.tolist() == [1, 2]
    waves = np.cos(2 * np.pi * np.outer([1, 2], np.arange(16)) / 16) / 4
    np.testing.assert_allclose(basis.rows, waves, atol=1e-6)


@pytest.mark.parametrize("centered", [False, True])
def test_rows_of_an_inverse_are_those_of_its_adjoint(centered):
    forward, inverse = (
        nn.ModuleDict({"dft": Dense(12, inverse=inverse, centered=centered, norm="ortho")})
        for inverse in (False, True)
    )
    (*_, there), (*_, back) = (portray_transforms(m, m) for m in (forward, inverse))
    np.testing.assert_allclose(there.rows, back.rows, atol=1e-6)
    np.testing.assert_allclose(there.spectrum, back.spectrum, atol=1e-6)


def test_a_large_transform_is_drawn_with_few_pixels_and_keeps_its_peaks():
    start = nn.ModuleDict({"dft": Monarch(1030, modes=range(-150, 150))})
    _, basis = portray_transforms(start, start)
    assert max(basis.spectrum.shape) <= 256
    assert basis.rows.shape == (4, 515)
    assert len(basis.frequencies) == basis.spectrum.shape[1]
    np.testing.assert_allclose(basis.spectrum.max(1), 1, atol=1e-5)


def test_rows_that_became_the_modes_are_seen_to_be_so():
    """Whatever their order, phase and length; those of a transform that did not move are not."""
    n, m = 16, 12
    modes = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q.mT
    start, trained = (MonarchSpectralConv(1, 1, (m,), grid=(n,), transform=Dense) for _ in range(2))
    assert portray_in_modes(start, start, 0, modes) == []
    kept = len(start.frequencies[0])
    order = torch.randperm(kept)
    phases = torch.exp(2j * torch.pi * torch.rand(kept, dtype=torch.float64))
    with torch.no_grad():
        rows = (3 * phases[:, None] * modes[order]).to(torch.cfloat)
        trained.forward_transforms[0].weight.copy_(torch.view_as_real(rows)[None])
    before, learned, *curves = portray_in_modes(trained, start, 0, modes)
    assert before.image.max() < 0.99
    one = torch.zeros(kept, learned.image.shape[1], dtype=torch.float64)
    one[torch.arange(kept), order] = 1
    torch.testing.assert_close(torch.from_numpy(learned.image), one, atol=1e-6, rtol=0)
    assert len(curves) == 6
    for row, mode in zip(curves[::2], curves[1::2], strict=True):
        torch.testing.assert_close(row.y, mode.y, atol=1e-6, rtol=0)
    assert portray_in_modes(trained, start, 1, modes) == []


def test_a_model_without_learnable_transforms_has_no_portrait():
    fixed = nn.ModuleDict({"fft": Fourier(8)})
    assert portray_transforms(fixed, fixed) == []


def test_a_rotation_of_the_rows_departs_from_the_start_and_not_from_unitarity():
    start, trained = (nn.ModuleDict({"dft": Dense(6)}) for _ in range(2))
    turned = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0].float()
    with torch.no_grad():
        weight = trained["dft"].weight  # (heads, n_out, n_in, 2)
        weight.copy_(torch.einsum("ij,gjkp->gikp", turned, weight))
    (moved,) = distances(trained, start)
    assert (moved.part, moved.n) == ("dft", 6)
    assert moved.distance > 0.5
    assert moved.departure < 1e-6
