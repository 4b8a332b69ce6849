"""Laws of transforms with a matrix for each column, and that they are the encoding of a scanner."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.scanner import Scanner
from monarch_core.transforms import Dense, Fourier, Monarch, prepared
from mri.physics import axis_transforms as physics
from mri.physics.axis_transforms import AxisTransforms, axis_transforms
from mri.physics.conjugate_gradient import conjugate_gradient
from mri.physics.encoding import Sense

GRID = (11, 6)
SCANNER = Scanner(
    trajectory=0.3,
    gradient_delay=0.4,
    epi_delay=0.2,
    epi_ghost=0.3,
    eddy_phase=0.5,
    b0_hz=8.0,
    gradient_nonlinearity=0.3,
)


def random_complex(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).sum()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(5)


def encoding_of(scanner: Scanner, grid: tuple[int, int], dtype=torch.float64) -> AxisTransforms:
    matrices = scanner.columns(grid), scanner.along_readout(grid[1])
    return AxisTransforms(*(Dense.from_matrix(torch.from_numpy(A), dtype=dtype) for A in matrices))


# heads along height and along width: of each column, of pairs of columns, of each line, of both
HEADS = [(6, 1), (3, 1), (1, 11), (2, 11)]


@pytest.fixture(params=HEADS, ids=str)
def heads(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["forward", "inverse"])
def transform(request, heads):
    height, width = GRID
    pair = [
        Dense.from_matrix(random_complex(n_heads, n, n), dtype=torch.float64)
        for n_heads, n in zip(heads, (height, width), strict=True)
    ]
    return AxisTransforms(*pair, inverse=request.param)


def test_forward_is_the_sum_over_columns(transform):
    A_H, A_W = (torch.view_as_complex(T.weight) for T in transform.children())
    A_H = A_H.repeat_interleave(GRID[1] // len(A_H), 0)  # of column z
    A_W = A_W.repeat_interleave(GRID[0] // len(A_W), 0)  # of line k
    x = random_complex(2, *GRID)
    to_kspace = ("zky,klz,byz->bkl", A_H, A_W, x)
    to_image = ("zyk,kzl,bkl->byz", A_H, A_W, x)
    expected = torch.einsum(*(to_image if transform.inverse else to_kspace))
    torch.testing.assert_close(transform(x), expected)


@pytest.mark.parametrize("chunk", [1, 2**20])
def test_adjoint(transform, chunk, monkeypatch):
    monkeypatch.setattr(physics, "chunk_bytes", lambda device: chunk)
    x, y = random_complex(2, 3, *GRID), random_complex(2, 3, *GRID)
    torch.testing.assert_close(inner(y, transform(x)), inner(transform.adjoint(y), x))
    _, vjp = torch.func.vjp(transform, x)
    torch.testing.assert_close(vjp(y)[0], transform.adjoint(y))


def test_equal_matrices_are_one(heads):
    one = axis_transforms(partial(Dense, dtype=torch.float64), GRID)
    many = AxisTransforms(
        *(
            Dense.from_matrix(T.dense(torch.complex128).expand(n, -1, -1), dtype=torch.float64)
            for n, T in zip(heads, one.children(), strict=True)
        )
    )
    x = random_complex(2, *GRID)
    torch.testing.assert_close(many(x), one(x))
    torch.testing.assert_close(many.adjoint(x), one.adjoint(x))


def test_learned_matrices_of_columns_start_at_the_dft_and_are_prepared_once():
    transform = AxisTransforms(
        Monarch(11, heads=6, centered=True, dtype=torch.float64), Fourier(6, centered=True)
    )
    x = random_complex(3, *GRID)
    expected = torch.from_numpy(fft_centred(x.numpy()))
    torch.testing.assert_close(transform(x), expected)
    torch.testing.assert_close(prepared(transform)(x), expected)


@pytest.mark.parametrize("grid", [(11, 6), (7, 9), (16, 5)])
def test_the_matrices_of_a_scanner_are_its_encoding(grid):
    x = random_complex(2, 3, *grid)
    expected = torch.from_numpy(SCANNER.encode(x.numpy())).to(torch.complex128)
    torch.testing.assert_close(encoding_of(SCANNER, grid)(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((Dense(11, heads=4), Fourier(6)), "6 columns of the image cannot share out 4 matrices"),
        ((Fourier(11), Dense(6, heads=2)), "11 lines of k-space cannot share out 2 matrices"),
    ],
)
def test_matrices_that_cannot_be_shared_out(pair, message):
    with pytest.raises(ValueError, match=message):
        AxisTransforms(*pair)


def test_conjugate_gradients_recover_the_image_with_the_true_encoding_alone():
    grid = (24, 17)
    rng = np.random.default_rng(0)
    y, z = (np.linspace(-1, 1, n) for n in grid)
    image = np.exp(-((y[:, None] / 0.6) ** 4) - (z / 0.6) ** 4 + 1j * (y[:, None] - z))
    maps = rng.standard_normal((3, *grid)) + 1j * rng.standard_normal((3, *grid))
    maps = maps / np.sqrt((np.abs(maps) ** 2).sum(0))
    kspace = torch.from_numpy(SCANNER.encode((maps * image).astype(np.complex64)))[None, None]
    everything = torch.ones(1, *grid)
    errors = []
    for transform in (encoding_of(SCANNER, grid, torch.float32), axis_transforms(Fourier, grid)):
        sense = Sense(torch.from_numpy(maps).to(torch.complex64)[None], everything, transform)
        x = conjugate_gradient(sense.normal, sense.adjoint(kspace), 0.0, 60)[0, 0]
        errors.append(np.linalg.norm(x.detach().numpy() - image) / np.linalg.norm(image))
    assert errors[0] < 1e-4
    assert errors[1] > 0.1
