import pytest
import torch

from monarch_core.transforms.classes.mm_star import MMStar, factorize_mm_star
from monarch_core.transforms.multiply import monarch_dense

SIZES = [(2, 3), (3, 4), (5, 7), (7, 5), (8, 8), (17, 5), (10, 16), (7, 23)]
DTYPES = [torch.float64, torch.complex128]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def random_star(p, q, dtype=torch.complex128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(p, q, q), (q, p, p)] * 2
    return MMStar(*(torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("p", "q"), SIZES)
def test_random_products_are_recovered(p, q, dtype):
    A = random_star(p, q, dtype).dense()
    found = factorize_mm_star(A, block_sizes=(p, q))
    assert found.L1.shape == found.L2.shape == (p, q, q)
    assert found.R1.shape == found.R2.shape == (q, p, p)
    assert found.L1.dtype == torch.complex128
    assert (found.dense() - A).norm() < 1e-8 * A.norm()


@pytest.mark.parametrize("n", [7, 12, 35, 64])
def test_default_block_sizes(n):
    p = max(d for d in range(1, n) if n % d == 0 and d * d <= n)
    A = random_star(p, n // p).dense()
    found = factorize_mm_star(A)
    assert len(found.L1) == p
    assert (found.dense() - A).norm() < 1e-8 * A.norm()


def test_multiply_is_the_product_of_both_matrices():
    star = random_star(5, 7)
    M1, M2 = monarch_dense(star.L1, star.R1), monarch_dense(star.L2, star.R2)
    torch.testing.assert_close(star.dense(), M1 @ M2.mH)
    x = torch.randn(2, 3, 35, dtype=torch.complex128)
    torch.testing.assert_close(star.multiply(x), x @ (M1 @ M2.mH).mT)


def test_the_order_cancels():
    # In the contiguous-first order both matrices are multiplied by T^-1 from the right.
    star = random_star(3, 4)
    T = torch.eye(12, dtype=torch.complex128)[torch.arange(12).reshape(3, 4).T.flatten()]
    M1, M2 = monarch_dense(star.L1, star.R1), monarch_dense(star.L2, star.R2)
    torch.testing.assert_close(star.dense(), (M1 @ T.mT) @ (M2 @ T.mT).mH)


def test_zeros_of_the_middle_factor_away_from_the_pivot_are_allowed():
    star = random_star(4, 5)
    for i in range(1, 4):
        star.R1[:, i, i] = 0
    star.R2[:] = torch.eye(4)
    A = star.dense()
    found = factorize_mm_star(A, block_sizes=(4, 5))
    assert (found.dense() - A).norm() < 1e-10 * A.norm()


def test_repeated_eigenvalues():
    # Every slice of the middle factor is the same, so that all F are the identity.
    star = random_star(3, 4)
    star.R1[:], star.R2[:] = star.R1[:1], star.R2[:1]
    A = star.dense()
    found = factorize_mm_star(A, block_sizes=(3, 4))
    assert (found.dense() - A).norm() < 1e-10 * A.norm()


def test_leaves_the_random_state_alone():
    A = random_star(2, 3).dense()
    state = torch.get_rng_state()
    first, second = factorize_mm_star(A), factorize_mm_star(A)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.L1, second.L1)


def test_a_matrix_outside_the_class():
    A = torch.randn(12, 12, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"remainder of \d\.\de-01, and the factors miss A by"):
        factorize_mm_star(A)
    A = random_star(3, 4).dense()
    with pytest.raises(ValueError, match=r"not a product M1 M2\^H with block_sizes=\(4, 3\)"):
        factorize_mm_star(A, block_sizes=(4, 3))
    noisy = A + 1e-3 * A.norm() * torch.randn(12, 12, dtype=torch.float64)
    with pytest.raises(ValueError, match="above tolerance=1e-06"):
        factorize_mm_star(noisy)


def test_shared_eigenvectors_are_defective():
    # With p = 2 and identity elsewhere F holds the one block, a Jordan block.
    A_mn = torch.eye(3, dtype=torch.float64).repeat(2, 2, 1, 1)
    A_mn[1, 1] += torch.diag(torch.ones(2, dtype=torch.float64), 1)
    A = A_mn.permute(2, 0, 3, 1).reshape(6, 6)
    with pytest.raises(ValueError, match="share their eigenvectors"):
        factorize_mm_star(A, block_sizes=(2, 3), tolerance=1e-12)


def test_singular_blocks():
    with pytest.raises(ValueError, match=r"singular value 0\.0e\+00.*invertible blocks"):
        factorize_mm_star(torch.eye(12))
    star = random_star(3, 4)
    star.R1[0] = 0
    with pytest.raises(ValueError, match="the best pivot still meets a block"):
        factorize_mm_star(star.dense(), block_sizes=(3, 4))


def test_wrong_matrices():
    with pytest.raises((ValueError, TypeError)):
        factorize_mm_star(torch.zeros(4, 6))
    with pytest.raises(ValueError, match="NaN or infinite"):
        factorize_mm_star(torch.full((4, 4), torch.inf))
    with pytest.raises(ValueError, match=r"n=12 and block_sizes=\(5, 2\)"):
        factorize_mm_star(torch.eye(12), block_sizes=(5, 2))


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 7.0, 1e30, 1e300])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_scale_of_the_matrix_changes_nothing(scale, dtype):
    A = random_star(3, 4, dtype).dense()
    found = factorize_mm_star(scale * A, block_sizes=(3, 4))
    assert (found.dense() / scale - A).norm() < 1e-8 * A.norm()


def test_numbers_below_the_normal_ones_are_factorised():
    A = random_star(3, 4, torch.float64).dense()
    found = factorize_mm_star(2.0**-1040 * A, block_sizes=(3, 4))
    assert (found.dense() * 2.0**1000 * 2.0**40 - A).norm() < 1e-8 * A.norm()


def test_numbers_of_any_kind_are_factorised():
    star = random_star(2, 3)
    integers = MMStar(*((10 * factor.real).round() + 1 for factor in vars(star).values())).dense()
    single = 1e-30 * star.dense().to(torch.complex64)
    for A in (integers.long(), integers.int(), single):
        found = factorize_mm_star(A, block_sizes=(2, 3), tolerance=1e-4)
        assert found.L1.dtype == torch.complex128
        exact = A.to(torch.complex128)
        assert (found.dense() - exact).norm() < 1e-4 * exact.norm()


def test_noise_is_noise_at_any_scale():
    A = random_star(3, 4).dense()
    noisy = A + 1e-3 * A.norm() * torch.randn(12, 12, dtype=torch.float64)
    for scale in (1e-30, 1e30):
        with pytest.raises(ValueError, match="above tolerance=1e-06"):
            factorize_mm_star(scale * noisy)
        with pytest.raises(ValueError, match="the best pivot still meets a block"):
            factorize_mm_star(scale * torch.eye(12))
