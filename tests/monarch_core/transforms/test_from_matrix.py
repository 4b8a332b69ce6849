"""`from_matrix`: a given matrix as it is (Dense), or the nearest Monarch matrix, to learn on."""

from functools import partial

import pytest
import torch

from monarch_core import Dense, Fourier, Monarch, project_to_monarch


def complex_matrix(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.complex128, generator=generator)


@pytest.mark.parametrize("n", [1, 7, 12, 30, 36])
@pytest.mark.parametrize("centered", [False, True])
def test_the_dft_is_met_exactly(n, centered):
    A = Fourier(n, centered=centered).dense(torch.complex128)
    found = Monarch.from_matrix(A, dtype=torch.float64)
    torch.testing.assert_close(found.dense(torch.complex128), A, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n_out", "n_in"), [(12, 12), (12, 20), (20, 6)])
@pytest.mark.parametrize("rank", [1, 2])
def test_it_is_the_projection(n_out, n_in, rank):
    A = complex_matrix(n_out, n_in)
    found = Monarch.from_matrix(A, block_sizes=(2, 2), rank=rank, dtype=torch.float64)
    _, _, distance = project_to_monarch(A, block_sizes=(2, 2), rank=rank)
    error = torch.linalg.norm(found.dense(torch.complex128) - A)
    assert distance > 0.1
    torch.testing.assert_close(error, distance)


def test_dense_is_the_matrix_itself():
    A = complex_matrix(2, 7, 12)
    assert torch.equal(Dense.from_matrix(A, dtype=torch.float64).dense(torch.complex128), A)


MAKERS = {
    "factored": partial(Monarch.from_matrix, apply="factored", dtype=torch.float64),
    "multiplied": partial(Monarch.from_matrix, apply="multiplied", dtype=torch.float64),
    "dense": partial(Dense.from_matrix, dtype=torch.float64),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_head_has_its_own_matrix_and_gradients(make):
    A = complex_matrix(3, 12, 18)
    stacked = make(A)
    x = complex_matrix(4, 6, 18, seed=1)  # channels are split evenly over the heads
    alone = [make(M) for M in A]
    expected = torch.cat([f(part) for f, part in zip(alone, x.chunk(3, dim=1), strict=True)], 1)
    torch.testing.assert_close(stacked(x), expected)
    y = complex_matrix(4, 6, 12, seed=2)
    torch.testing.assert_close((stacked(x) * y.conj()).sum(), (x * stacked.adjoint(y).conj()).sum())
    stacked(x).abs().square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in stacked.parameters())


@pytest.mark.parametrize("kind", [Monarch, Dense])
def test_a_real_matrix_that_stays_as_it_is(kind):
    found = kind.from_matrix(torch.eye(10), frozen=True)
    assert found.dense().dtype == torch.complex64
    assert not any(p.requires_grad for p in found.parameters())


def test_weights_go_through_a_state_dict():
    a, b = (Monarch.from_matrix(complex_matrix(12, 12, seed=seed)) for seed in (0, 1))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.dense(), b.dense())


@pytest.mark.parametrize("kind", [Monarch, Dense])
def test_it_has_no_start_to_go_back_to(kind):
    with pytest.raises(ValueError, match=r"12 x 18 was made .* and has no start"):
        kind.from_matrix(complex_matrix(12, 18)).reset_parameters()


@pytest.mark.parametrize(
    ("A", "options", "message"),
    [
        (torch.full((4, 4), torch.nan), {}, "finite|NaN"),
        (torch.ones(4, 4), {"block_sizes": (3, 2)}, "3"),
        (torch.ones(4, 4), {"rank": 0}, "rank"),
        (torch.ones(4, 4), {"apply": "fast"}, "apply must be one of"),
        (torch.ones(4, 4), {"dtype": torch.float16}, "dtype must be one of"),
    ],
)
def test_what_is_no_matrix_or_option_is_refused(A, options, message):
    with pytest.raises(ValueError, match=message):
        Monarch.from_matrix(A, **options)
    if options.keys() <= {"dtype"}:
        with pytest.raises(ValueError, match=message):
            Dense.from_matrix(A, **options)
