"""Regression on vectors: it finds the matrix behind them, or the nearest of its class."""

import pytest
import torch

from monarch_core.transforms import (
    Dense,
    Fourier,
    Monarch,
    PhasedFourier,
    project_to_monarch,
    regress,
)
from monarch_core.transforms.multiply import monarch_dense
from monarch_core.transforms.regression import regress_dense, regress_monarch

DOUBLE = {"dtype": torch.float64}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(7)


def random_complex(*shape):
    return torch.randn(*shape, dtype=torch.complex128)


def vectors(n, count=300):
    """Vectors whose entries are neither equally strong nor independent."""
    strength = torch.linspace(0.3, 2, n, dtype=torch.float64)[:, None]
    return strength * (random_complex(n, count) + random_complex(1, count))


def moments(A, x):
    return x @ x.mH, A @ x @ x.mH


def perturbed(transform, size=0.1):
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter += size * torch.randn_like(parameter)
    return transform


MAKERS = {
    "dense": lambda: Dense(15, centered=True, **DOUBLE),
    "dense-inverse-heads": lambda: Dense(7, inverse=True, heads=3, **DOUBLE),
    "monarch": lambda: Monarch(35, centered=True, rank=2, **DOUBLE),
    "monarch-inverse-blocks": lambda: Monarch(24, inverse=True, block_sizes=(6, 4), **DOUBLE),
    "monarch-heads": lambda: Monarch(12, rank=2, heads=2, **DOUBLE),
    "prime": lambda: Monarch(7, **DOUBLE),
    "phases": lambda: PhasedFourier(35, centered=True, **DOUBLE),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_transform_behind_the_vectors_is_found(make):
    there, found = perturbed(make()), make()
    A = torch.complex(*there.matrix()).detach()
    pairs = [moments(head, vectors(A.shape[2])) for head in A]
    G, B = (torch.stack(side) for side in zip(*pairs, strict=True))
    regress(found, G, B)
    matrix = torch.complex(*found.matrix()).detach()
    torch.testing.assert_close(matrix, A, rtol=0, atol=2e-3 * float(A.abs().max()))


def test_dense_is_exact():
    A = random_complex(9, 15)
    torch.testing.assert_close(regress_dense(*moments(A, vectors(15))), A)


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("block_sizes", [(4, 6), (6, 4), (3, 8)], ids=str)
def test_with_white_vectors_it_is_the_projection(rank, block_sizes):
    A = random_complex(24, 24)
    found = regress_monarch(
        2 * torch.eye(24, dtype=A.dtype), 2 * A, block_sizes=block_sizes, rank=rank
    )
    nearest = monarch_dense(*project_to_monarch(A, block_sizes=block_sizes, rank=rank)[:2])
    torch.testing.assert_close((found - A).norm(), (nearest - A).norm())


def test_with_other_vectors_it_is_better_than_the_projection():
    A, x = random_complex(24, 24), vectors(24)
    options = {"block_sizes": (4, 6), "rank": 2}
    nearest = monarch_dense(*project_to_monarch(A, **options)[:2])
    errors = [
        float(((regress_monarch(*moments(A, x), **options, n_steps=n) - A) @ x).norm())
        for n in (1, 3, 20)
    ]
    assert float(((nearest - A) @ x).norm()) > errors[0] >= errors[1] >= errors[2]


def test_the_error_has_no_slope_in_the_factor_that_was_found_last():
    A, x = random_complex(12, 12), vectors(12)
    G, B = moments(A, x)
    monarch = Monarch(12, rank=2, **DOUBLE)
    regress(monarch, G[None], B[None])
    error = ((torch.complex(*monarch.matrix())[0] - A) @ x).abs().square().sum()
    (slope,) = torch.autograd.grad(error, monarch.R)
    assert slope.abs().max() < 1e-9 * error


@pytest.mark.parametrize(
    ("transform", "shapes", "message"),
    [
        (Fourier(6), [(1, 6, 6), (1, 6, 6)], "no regression for Fourier; use Dense"),
        (Dense(6, heads=2), [(1, 6, 6), (1, 6, 6)], "each of the 2 heads.*G.None. for one"),
        (Monarch.cosine(6), [(1, 6, 6), (1, 6, 6)], "start=cosine are not in the natural order"),
        (Monarch(6, modes=[0, 1]), [(1, 6, 6), (1, 2, 6)], "use start=fourier without modes"),
    ],
)
def test_errors(transform, shapes, message):
    G, B = (torch.ones(shape, dtype=torch.complex128) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        regress(transform, G, B)


def test_vectors_that_do_not_determine_the_matrix():
    x = vectors(6, count=5)
    with pytest.raises(ValueError, match=r"not positive definite.*add lambda to its diagonal"):
        regress_dense(*moments(random_complex(6, 6), x))
