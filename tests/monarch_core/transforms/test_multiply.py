import pytest
import torch

from monarch_core.transforms.multiply import monarch_adjoint, monarch_dense, monarch_multiply

# (p, s, t) of L and (q, h, a) of R
SHAPES = {
    "balanced_64": ((8, 8, 8), (8, 8, 8)),
    "square_35": ((5, 7, 7), (7, 5, 5)),
    "square_85_swapped": ((17, 5, 5), (5, 17, 17)),
    "square_160": ((10, 16, 16), (16, 10, 10)),
    "square_161": ((7, 23, 23), (23, 7, 7)),
    "prime_7": ((1, 7, 7), (7, 1, 1)),
    "square_12_rank_2": ((3, 4, 8), (4, 6, 3)),
    "few_blocks": ((4, 3, 5), (4, 5, 7)),
    "unequal_rank": ((4, 6, 5), (2, 10, 5)),
    "empty_slices": ((6, 2, 2), (3, 4, 5)),
    "wide": ((6, 1, 2), (4, 3, 7)),
    "tall": ((1, 12, 6), (2, 3, 1)),
}
DTYPES = [torch.float64, torch.complex128]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def factors(name, dtype=torch.complex128):
    return tuple(torch.randn(shape, dtype=dtype) for shape in SHAPES[name])


def entrywise(L, R):
    """Return M entry by entry: every intermediate index c meets one block of L and one of R."""
    (p, s, t), (q, h, a) = L.shape, R.shape
    M = torch.zeros(s * p, a * q, dtype=L.dtype)
    for c in range(p * t):
        (b, j), (r, m) = divmod(c, h), divmod(c, p)
        M[m::p, b::q] += torch.outer(L[m, :, r], R[b, j])
    return M


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_product_is_the_matrix_entry_by_entry(name, dtype):
    L, R = factors(name, dtype)
    M = entrywise(L, R)
    x = torch.randn(3, M.shape[1], dtype=dtype)
    torch.testing.assert_close(monarch_dense(L, R), M)
    torch.testing.assert_close(monarch_multiply(x, L, R), x @ M.mT)
    torch.testing.assert_close(monarch_adjoint(x @ M.mT, L, R), x @ M.mT @ M.conj())


@pytest.mark.parametrize("name", SHAPES)
def test_adjoint(name):
    L, R = factors(name)
    x = torch.randn(R.shape[0] * R.shape[2], dtype=torch.complex128)
    y = torch.randn(L.shape[0] * L.shape[1], dtype=torch.complex128)
    forward = torch.vdot(monarch_multiply(x, L, R), y)
    torch.testing.assert_close(forward, torch.vdot(x, monarch_adjoint(y, L, R)))


@pytest.mark.parametrize("name", ["square_35", "unequal_rank", "wide"])
def test_backward_is_the_adjoint(name):
    L, R = factors(name)
    x = torch.randn(2, R.shape[0] * R.shape[2], dtype=torch.complex128)
    y, vjp = torch.func.vjp(lambda x: monarch_multiply(x, L, R), x)
    v = torch.randn_like(y)
    torch.testing.assert_close(vjp(v)[0], monarch_adjoint(v, L, R))


@pytest.mark.parametrize("function", [monarch_multiply, monarch_adjoint])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shapes", [((2, 3, 3), (3, 2, 2)), ((3, 1, 2), (2, 3, 2))], ids=str)
def test_gradients(shapes, dtype, function):
    L, R = (torch.randn(shape, dtype=dtype) for shape in shapes)
    x = torch.randn(2, len(monarch_dense(L, R)[0]), dtype=dtype)
    if function is monarch_adjoint:
        x = monarch_multiply(x, L, R)
    inputs = [tensor.requires_grad_() for tensor in (x.clone(), L, R)]
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradcheck(monarch_dense, inputs[1:])


@pytest.mark.parametrize("batch", [(), (1,), (0,), (2, 3), (2, 1, 4)], ids=str)
def test_any_batch_shape(batch):
    L, R = factors("few_blocks")
    M = monarch_dense(L, R)
    x = torch.randn(*batch, M.shape[1], dtype=M.dtype)
    y = monarch_multiply(x, L, R)
    assert y.shape == (*batch, M.shape[0])
    torch.testing.assert_close(y, torch.einsum("oi,...i->...o", M, x))
    assert monarch_adjoint(y, L, R).shape == x.shape


def test_strided_and_expanded_input():
    L, R = factors("square_35")
    M = monarch_dense(L, R)
    x = torch.randn(70, 3, 2, dtype=M.dtype)
    for view in (x[::2].movedim(0, -1), x[:35].permute(2, 1, 0), x[35:, :1, 0].mT.expand(4, 5, 35)):
        assert not view.is_contiguous()
        torch.testing.assert_close(monarch_multiply(view, L, R), view @ M.mT)


def test_mixed_dtypes_promote():
    L, R = factors("square_12_rank_2", torch.float32)
    x = torch.randn(2, 12, dtype=torch.complex128)
    y = monarch_multiply(x, L, R)
    assert y.dtype == torch.complex128
    torch.testing.assert_close(y, x @ monarch_dense(L, R).to(x.dtype).mT, rtol=1e-6, atol=1e-6)
    real = monarch_multiply(x.real.float(), L, R.to(torch.complex64))
    assert real.dtype == torch.complex64
    torch.testing.assert_close(real.real.double(), y.real, rtol=1e-4, atol=1e-4)


def test_float32_agrees_with_float64():
    L, R = factors("balanced_64")
    x = torch.randn(5, 64, dtype=torch.complex128)
    low = [tensor.to(torch.complex64) for tensor in (x, L, R)]
    expected = monarch_multiply(x, L, R).to(torch.complex64)
    torch.testing.assert_close(monarch_multiply(*low), expected, rtol=1e-5, atol=1e-4)


def test_errors_name_the_shapes():
    L, R = factors("few_blocks")
    with pytest.raises(ValueError, match=r"x has shape \(2, 27\).*last axis of x 28 long"):
        monarch_multiply(torch.zeros(2, 27), L, R)
    with pytest.raises(ValueError, match=r"y has shape \(13,\).*last axis of y 12 long"):
        monarch_adjoint(torch.zeros(13), L, R)
    with pytest.raises(ValueError, match=r"takes 4 x 5 = 20 values but R .* returns 3 x 5 = 15"):
        monarch_multiply(torch.zeros(28), L, R[:3])
    with pytest.raises((ValueError, TypeError), match="L"):
        monarch_dense(L[0], R)
