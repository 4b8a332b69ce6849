import itertools

import pytest
import scipy.fft
import scipy.linalg
import torch

from monarch_core.transforms import classes
from monarch_core.transforms.classes.mm_star import factorize_mm_star
from monarch_core.transforms.classes.projection import project_to_monarch
from monarch_core.transforms.multiply import monarch_dense, monarch_multiply

SIZES = [
    (1, None),
    (7, None),
    (12, None),
    (12, (6, 2)),
    (35, (7, 5)),
    (64, (4, 16)),
    (85, None),
    (160, None),
    (161, None),
]
SQUARED = {
    "fourier": classes.fourier_mm_star_squared,
    "cosine": classes.cosine_mm_star_squared,
    "sine": classes.sine_mm_star_squared,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def reference(name, n):
    unit = torch.eye(n, dtype=torch.float64)
    if name == "fourier":
        return torch.fft.fft(unit.to(torch.complex128), dim=0, norm="ortho")
    transform = scipy.fft.dct if name == "cosine" else scipy.fft.dst
    return torch.from_numpy(transform(unit.numpy(), type=2, axis=0, norm="ortho"))


def product(stars):
    outer, inner = stars
    return outer.dense() @ inner.dense().to(outer.L1.dtype)


def assert_structure(star, shapes_L1, shape_L2):
    """Check both matrices of a product against the class: slices of rank 1 in the own order."""
    assert star.L1.shape == shapes_L1
    assert star.L2.shape == shape_L2
    for L, R in ((star.L1, star.R1), (star.L2, star.R2)):
        p, _, t = L.shape
        assert R.shape == (t, p, p)
        M = monarch_dense(L, R)
        nearest = project_to_monarch(M, L_shape=tuple(L.shape), R_shape=tuple(R.shape))
        assert nearest[2] <= 1e-12 * M.norm()


@pytest.mark.parametrize(("n", "block_sizes"), [(2, None), (64, None), (32, None), (128, (32, 4))])
def test_hadamard_is_a_monarch_matrix_with_a_fixed_output_order(n, block_sizes):
    L, R, order = classes.hadamard_monarch(n, block_sizes)
    H = torch.from_numpy(scipy.linalg.hadamard(n)).double() / n**0.5
    x = torch.randn(3, n, dtype=torch.float64)
    y = monarch_multiply(x, L, R)[..., order]
    torch.testing.assert_close(y, (x @ H.mT).to(y.dtype))
    p, q = len(L), len(R)
    assert (L.shape, R.shape) == ((p, q, q), (q, p, p))
    # (M x)[b p + a] = (H x)[a q + b]: M = T H
    torch.testing.assert_close(
        monarch_dense(L, R).real, H[torch.arange(n).reshape(p, q).T.flatten()]
    )


@pytest.mark.parametrize(("n", "block_sizes"), SIZES)
def test_fourier_is_a_monarch_matrix(n, block_sizes):
    L, R = classes.fourier_monarch(n, block_sizes)
    p, q = len(L), len(R)
    assert (L.shape, R.shape) == ((p, q, q), (q, p, p))
    torch.testing.assert_close(monarch_dense(L, R), reference("fourier", n))
    blocks = torch.eye(p).expand(q, p, p).to(R), torch.eye(q).expand(p, q, q).to(L)
    torch.testing.assert_close((R @ R.mH, L @ L.mH), blocks)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize(("n", "block_sizes"), SIZES)
def test_circulant(n, block_sizes, dtype):
    column = torch.randn(n, dtype=dtype)
    star = classes.circulant_mm_star(column, block_sizes)
    p, q = len(star.L1), len(star.R1)
    assert p * q == n
    assert_structure(star, (p, q, q), (p, q, q))
    C = torch.from_numpy(scipy.linalg.circulant(column.numpy())).to(torch.complex128)
    torch.testing.assert_close(star.dense(), C)
    signal = torch.randn(n, dtype=torch.complex128)
    convolved = torch.fft.ifft(torch.fft.fft(column) * torch.fft.fft(signal))
    torch.testing.assert_close(star.multiply(signal), convolved)


@pytest.mark.parametrize("n", [12, 35, 64])
def test_circulant_is_factorised_again(n):
    A = classes.circulant_mm_star(torch.randn(n, dtype=torch.float64)).dense().real
    assert (factorize_mm_star(A).dense() - A).norm() < 1e-8 * A.norm()


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize(("n", "block_sizes"), SIZES)
def test_toeplitz_with_expansion_two(n, block_sizes, dtype):
    column, row = torch.randn(2, n, dtype=dtype)
    row[0] = column[0]
    star = classes.toeplitz_mm_star(column, row, block_sizes)
    p, q = len(star.L1), len(star.R1) // 2
    assert p * q == n
    assert_structure(star, (p, q, 2 * q), (p, q, 2 * q))
    T = torch.from_numpy(scipy.linalg.toeplitz(column.numpy(), row.numpy()))
    torch.testing.assert_close(star.dense(), T.to(torch.complex128))


@pytest.mark.parametrize(("n", "block_sizes"), SIZES)
def test_every_permutation(n, block_sizes):
    order = torch.randperm(n)
    star = classes.permutation_mm_star(order, block_sizes)
    p, q = len(star.L1), len(star.R1)
    assert_structure(star, (p, q, q), (p, q, q))
    assert torch.equal(star.dense(), torch.eye(n, dtype=torch.float64)[order])
    x = torch.randn(2, n)
    assert torch.equal(star.multiply(x).float(), x[:, order])


def test_all_permutations_of_six_points():
    for order in itertools.permutations(range(6)):
        star = classes.permutation_mm_star(torch.tensor(order))
        assert torch.equal(star.dense(), torch.eye(6, dtype=torch.float64)[list(order)])


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_of_every_input(copies):
    order = torch.arange(12).repeat(copies)[torch.randperm(12 * copies)]
    star = classes.permutation_mm_star(order, (3, 4))
    assert_structure(star, (3, 4 * copies, 4 * copies), (3, 4, 4 * copies))
    assert torch.equal(star.dense(), torch.eye(12, dtype=torch.float64)[order])


@pytest.mark.parametrize(("n", "block_sizes"), SIZES)
def test_fourier_is_two_products(n, block_sizes):
    stars = classes.fourier_mm_star_squared(n, block_sizes)
    for star in stars:
        p, q = len(star.L1), len(star.R1)
        assert p * q == n
        assert_structure(star, (p, q, q), (p, q, q))
    torch.testing.assert_close(product(stars), reference("fourier", n))


@pytest.mark.parametrize("name", ["cosine", "sine"])
@pytest.mark.parametrize(("n", "block_sizes"), SIZES)
def test_cosine_and_sine_are_two_products_with_expansion_two(n, block_sizes, name):
    outer, inner = stars = SQUARED[name](n, block_sizes)
    p, q = len(outer.L1), len(outer.R1) // 2
    assert p * q == n
    assert_structure(outer, (p, q, 2 * q), (p, 2 * q, 2 * q))
    assert_structure(inner, (p, 2 * q, 2 * q), (p, q, 2 * q))
    torch.testing.assert_close(product(stars), reference(name, n).to(torch.complex128))
    x = torch.randn(3, n, dtype=torch.complex128)
    y = outer.multiply(inner.multiply(x))
    torch.testing.assert_close(y, x @ reference(name, n).mT.to(x.dtype))


@pytest.mark.parametrize("name", ["cosine", "sine"])
@pytest.mark.parametrize(("n", "block_sizes"), SIZES)
def test_cosine_and_sine_are_real_parts_without_expansion(n, block_sizes, name):
    stars = SQUARED[name](n, block_sizes, expansion=1)
    for star in stars:
        p, q = len(star.L1), len(star.R1)
        assert p * q == n
        assert_structure(star, (p, q, q), (p, q, q))
    matrix = product(stars)
    torch.testing.assert_close(matrix.real, reference(name, n))
    if n > 2:
        assert matrix.imag.norm() > 0.3 * matrix.real.norm()


def test_errors():
    with pytest.raises(ValueError, match="power of two, got n=12"):
        classes.hadamard_monarch(12)
    with pytest.raises(ValueError, match=r"n=12 and block_sizes=\(5, 2\)"):
        classes.circulant_mm_star(torch.zeros(12), (5, 2))
    with pytest.raises(ValueError, match=r"lengths 3 and 3 and entries 0.0 and 1.0"):
        classes.toeplitz_mm_star(torch.zeros(3), torch.ones(3))
    with pytest.raises(ValueError, match=r"lengths 3 and 2"):
        classes.toeplitz_mm_star(torch.zeros(3), torch.zeros(2))
    for order in ([0, 1, 1], [1, 2], [0, -1], []):
        with pytest.raises(ValueError, match="equally often"):
            classes.permutation_mm_star(torch.tensor(order, dtype=torch.int64))
    with pytest.raises(ValueError, match="expansion must be 1 or 2, got 3"):
        classes.cosine_mm_star_squared(4, expansion=3)
