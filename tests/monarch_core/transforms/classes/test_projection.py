import math

import pytest
import scipy.linalg
import torch

from monarch_core.transforms.classes.projection import project_to_monarch
from monarch_core.transforms.multiply import monarch_dense, monarch_multiply

DTYPES = [torch.float64, torch.complex128]
# (p, s, t) of L and (q, h, a) of R; those of the released code that do not round-trip there too
SHAPES = {
    "balanced_64": ((8, 8, 8), (8, 8, 8)),
    "square_35": ((5, 7, 7), (7, 5, 5)),
    "square_161": ((7, 23, 23), (23, 7, 7)),
    "prime_7": ((1, 7, 7), (7, 1, 1)),
    "square_12_rank_2": ((3, 4, 8), (4, 6, 3)),
    "four_blocks": ((4, 16, 12), (4, 12, 12)),
    "odd_blocks": ((5, 3, 9), (5, 9, 11)),
    "unequal_blocks": ((6, 4, 5), (3, 10, 7)),
    "ranks_1_and_2": ((7, 4, 3), (3, 7, 6)),
    "ranks_2_and_3": ((4, 6, 5), (2, 10, 5)),
    "ranks_0_and_1": ((6, 2, 2), (3, 4, 5)),
    "rank_above_slice": ((2, 3, 9), (6, 3, 1)),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def random_matrix(name, dtype):
    (p, s, _), (q, _, a) = SHAPES[name]
    return torch.randn(s * p, a * q, dtype=dtype)


def project(A, name):
    L_shape, R_shape = SHAPES[name]
    return project_to_monarch(A, L_shape=L_shape, R_shape=R_shape)


def dft(n):
    return torch.fft.fft(torch.eye(n, dtype=torch.complex128), norm="ortho")


def in_the_order_of_the_paper(A, p, q):
    """Return A T, whose projection is that of A with the contiguous index contracted first."""
    return A[:, torch.arange(p * q).reshape(q, p).T.flatten()]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_monarch_matrices_are_recovered(name, dtype):
    M = monarch_dense(*(torch.randn(shape, dtype=dtype) for shape in SHAPES[name]))
    L, R, residual = project(M, name)
    assert (tuple(L.shape), tuple(R.shape)) == SHAPES[name]
    assert L.dtype == R.dtype == dtype
    torch.testing.assert_close(monarch_dense(L, R), M)
    assert residual < 1e-13 * M.norm()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_residual_is_the_distance_and_projection_is_idempotent(name, dtype):
    A = random_matrix(name, dtype)
    L, R, residual = project(A, name)
    M = monarch_dense(L, R)
    torch.testing.assert_close(residual, (A - M).norm(), atol=1e-13, rtol=1e-12)
    torch.testing.assert_close(monarch_dense(*project(M, name)[:2]), M)
    x = torch.randn(A.shape[1], dtype=dtype)
    torch.testing.assert_close(monarch_multiply(x, L, R), M @ x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_each_slice_is_a_truncated_svd(name, dtype):
    A = random_matrix(name, dtype)
    M = monarch_dense(*project(A, name)[:2])
    (p, _, _), (q, h, _) = SHAPES[name]
    for b in range(q):
        for m in range(p):
            rank = sum(c % p == m for c in range(b * h, (b + 1) * h))
            U, sigma, Vh = torch.linalg.svd(A[m::p, b::q], full_matrices=False)
            best = (U[:, :rank] * sigma[:rank]) @ Vh[:rank]
            torch.testing.assert_close(M[m::p, b::q], best)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["square_35", "odd_blocks", "ranks_2_and_3"])
def test_no_other_factors_are_nearer(name, dtype):
    A = random_matrix(name, dtype)
    L, R, residual = project(A, name)
    for step in (1e-4, 1e-2, 1.0):
        for _ in range(20):
            other = monarch_dense(L + step * torch.randn_like(L), R + step * torch.randn_like(R))
            assert (A - other).norm() > residual
    L, R = L.requires_grad_(), R.requires_grad_()
    gradients = torch.autograd.grad((A - monarch_dense(L, R)).norm(), (L, R))
    for gradient in gradients:
        assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("n", [12, 35, 64, 85, 160])
def test_dft_lies_in_the_class_only_in_this_order(n):
    L, R, residual = project_to_monarch(dft(n))
    assert residual < 1e-12
    p, q = L.shape[0], R.shape[0]
    assert p * q == n
    assert p <= q
    misordered = project_to_monarch(in_the_order_of_the_paper(dft(n), p, q))[2]
    torch.testing.assert_close(misordered / math.sqrt(n), misordered.new_tensor(1 - 1 / p).sqrt())


def test_hadamard_and_identity_lie_in_the_class_of_the_paper():
    for A in (torch.from_numpy(scipy.linalg.hadamard(32)).double(), torch.eye(32).double()):
        assert project_to_monarch(in_the_order_of_the_paper(A, 4, 8))[2] < 1e-12 * A.norm()
        assert project_to_monarch(A)[2] > 0.8 * A.norm()


@pytest.mark.parametrize(("n", "block_sizes"), [(48, None), (64, (4, 16)), (85, (17, 5))])
def test_cosine_transform_has_rank_two_after_makhouls_order(n, block_sizes):
    k, j = torch.arange(n).double()[:, None], torch.arange(n).double()
    dct = torch.cos(math.pi * k * (2 * j + 1) / (2 * n))
    order = torch.cat((torch.arange(0, n, 2), torch.arange(1, n, 2).flip(0)))
    first, second = (
        project_to_monarch(dct[:, order], block_sizes=block_sizes, rank=rank)[2] for rank in (1, 2)
    )
    assert first > 0.3 * dct.norm()
    assert second < 1e-12 * dct.norm()


def test_rank_up_to_that_of_the_slices_is_exact():
    A = torch.randn(12, 35, dtype=torch.float64)
    residuals = []
    for rank in range(1, 5):
        L, R, residual = project_to_monarch(A, block_sizes=(4, 7), rank=rank)
        assert L.shape == (4, 3, 7 * rank)
        assert R.shape == (7, 4 * rank, 5)
        residuals.append(residual.item())
    assert residuals[0] > residuals[1] > residuals[2]
    assert residuals[2] < 1e-13
    assert residuals[3] < 1e-13


def test_factors_share_the_singular_values():
    L, R, _ = project_to_monarch(torch.randn(20, 20, dtype=torch.complex128))
    # rank 1: column r of block m of L meets row m of block r of R
    torch.testing.assert_close(L.norm(dim=1), R.norm(dim=2).T)


def test_default_block_sizes():
    L, R, _ = project_to_monarch(torch.randn(12, 35))
    assert L.shape == (3, 4, 7)
    assert R.shape == (7, 3, 5)
    assert L.dtype == torch.float32
    assert not L.requires_grad


def test_input_with_gradient_and_strides():
    A = torch.randn(35, 12, dtype=torch.complex128, requires_grad=True)
    L, R, residual = project_to_monarch(A.mH)
    M = monarch_dense(L, R)
    torch.testing.assert_close(residual, (A.mH - M).norm().detach())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_sizes": (5, 7)}, r"got \(5, 7\) and A of 12 x 35; use p of \[1, 2, 3, 4, 6, 12\]"),
        ({"block_sizes": (0, 7)}, "must be 2 whole numbers of at least 1"),
        ({"rank": 0}, "rank must be a whole number of at least 1, got 0"),
        ({"L_shape": (4, 3, 7)}, "both L_shape and R_shape"),
        ({"L_shape": (4, 3, 7), "R_shape": (7, 4, 5), "rank": 2}, "either block_sizes and rank or"),
        ({"L_shape": (4, 4, 7), "R_shape": (7, 4, 5)}, "a matrix of 16 x 35, got A of 12 x 35"),
        ({"L_shape": (4, 3, 6), "R_shape": (7, 4, 5)}, r"takes 4 x 6 = 24 values but R"),
    ],
)
def test_wrong_shapes(options, message):
    with pytest.raises(ValueError, match=message):
        project_to_monarch(torch.randn(12, 35), **options)


def test_wrong_matrices():
    with pytest.raises(ValueError, match="A must be a matrix with entries"):
        project_to_monarch(torch.zeros(0, 4))
    with pytest.raises(ValueError, match=r"got torch\.float16; use A\.float"):
        project_to_monarch(torch.eye(4).half())
    with pytest.raises(ValueError, match="NaN or infinite"):
        project_to_monarch(torch.full((4, 4), torch.nan))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128], ids=str)
@pytest.mark.parametrize("scale", [2.0**-100, 2.0**-63, 3.0, 2.0**100])
def test_the_scale_of_the_matrix_changes_nothing(scale, dtype):
    torch.manual_seed(0)
    A = torch.randn(12, 35, dtype=dtype)
    L, R, residual = project_to_monarch(A, block_sizes=(3, 5))
    scaled = project_to_monarch(scale * A, block_sizes=(3, 5))
    torch.testing.assert_close(scaled[2] / scale, residual)
    torch.testing.assert_close(monarch_dense(*scaled[:2]) / scale, monarch_dense(L, R))
    assert residual > 0


@pytest.mark.parametrize("name", ["four_blocks", "unequal_blocks", "rank_above_slice"])
def test_what_is_zero_can_be_learned(name):
    """All of a matrix, or one slice of it: the gradient reaches every column of L that is used."""
    A = random_matrix(name, torch.float64)
    (p, _, _), (q, _, _) = SHAPES[name]
    one = A.clone()
    one[::p, ::q] = 0
    L_one, R_one, distance = project(one, name)
    assert not monarch_dense(L_one, R_one)[::p, ::q].any()
    assert distance <= project(A, name)[2]
    L, R, distance = project(0 * A, name)
    assert distance == 0
    assert not monarch_dense(L, R).any()
    L.requires_grad_()
    x = torch.randn(9, A.shape[1], dtype=A.dtype)
    monarch_multiply(x, L, R).square().sum().backward()
    assert not L.grad.any()  # of a loss that has its minimum here
    L.grad = None
    monarch_multiply(x, L, R).sum().backward()
    used = project(A, name)[0].abs().amax(1) > 0
    assert torch.equal(L.grad.abs().amax(1) > 0, used)
