"""Laws that every linear transform obeys, in double precision and at awkward sizes."""

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import torch

from monarch_core.transforms import (
    Dense,
    Fourier,
    Monarch,
    PhasedFourier,
    monarch_multiply,
)

SIZES = [1, 7, 12, 35, 64, 85, 160, 161, 320, 512, 1000]
DOUBLE = {"dtype": torch.float64}


def random_complex(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def perturbed(transform):
    """Move the parameters away from the start, so that a law does not hold by symmetry."""
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return transform


TRANSFORMS = {
    "fourier": Fourier(35),
    "fourier-inverse-centered": Fourier(12, inverse=True, centered=True),
    "fourier-modes-backward": Fourier(64, modes=range(-6, 6), norm="backward"),
    "fourier-inverse-modes-forward": Fourier(35, inverse=True, modes=range(5), norm="forward"),
    "dense": perturbed(Dense(12, **DOUBLE)),
    "dense-heads": perturbed(Dense(7, heads=3, modes=range(-2, 3), **DOUBLE)),
    "phases": perturbed(PhasedFourier(35, centered=True, **DOUBLE)),
    "phases-inverse-modes": perturbed(
        PhasedFourier(12, inverse=True, modes=range(-2, 3), norm="backward", **DOUBLE)
    ),
    "dense-head-each": perturbed(Dense(7, heads=6, modes=range(-2, 3), **DOUBLE)),
    "prime": perturbed(Monarch(7, **DOUBLE)),
    "heads": perturbed(Monarch(12, heads=3, **DOUBLE)),
    "rank": perturbed(Monarch(35, rank=3, **DOUBLE)),
    "inverse-blocks": perturbed(Monarch(64, inverse=True, block_sizes=(16, 4), **DOUBLE)),
    "modes": perturbed(Monarch(85, modes=range(-11, 11), **DOUBLE)),
    "inverse-modes-heads": perturbed(
        Monarch(64, inverse=True, modes=range(-5, 6), heads=3, **DOUBLE)
    ),
    "cosine": perturbed(Monarch.cosine(35, **DOUBLE)),
    "cosine-inverse": perturbed(Monarch.cosine(12, inverse=True, modes=range(5), **DOUBLE)),
    "sine": perturbed(Monarch.sine(160, norm="backward", **DOUBLE)),
    "hadamard": perturbed(Monarch.hadamard(64, **DOUBLE)),
    "identity": perturbed(Monarch.identity(85, **DOUBLE)),
    "random": Monarch.random(161, **DOUBLE),
}


@pytest.fixture(params=TRANSFORMS, autouse=False)
def transform(request):
    return TRANSFORMS[request.param]


def batch(transform, n):
    return random_complex(2, 6, n)  # 2 samples of 6 channels, which 1, 3 and 6 heads divide


def test_adjoint(transform):
    x, y = batch(transform, transform.n_in), batch(transform, transform.n_out)
    left = torch.sum(transform(x).conj() * y)
    right = torch.sum(x.conj() * transform.adjoint(y))
    torch.testing.assert_close(left, right)


def test_backward_is_the_adjoint(transform):
    x, y = batch(transform, transform.n_in), batch(transform, transform.n_out)
    _, vjp = torch.func.vjp(transform, x)
    torch.testing.assert_close(vjp(y)[0], transform.adjoint(y))


def test_dense_agrees_with_forward_and_adjoint(transform):
    A = transform.dense(torch.complex128)
    A = A.unsqueeze(0) if transform.heads == 1 else A
    channel_matrix = A.repeat_interleave(6 // transform.heads, dim=0)
    x, y = batch(transform, transform.n_in), batch(transform, transform.n_out)
    torch.testing.assert_close(transform(x), torch.einsum("cij,bcj->bci", channel_matrix, x))
    expected = torch.einsum("cij,bci->bcj", channel_matrix.conj(), y)
    torch.testing.assert_close(transform.adjoint(y), expected)


def test_matrix_is_dense_in_real_numbers(transform):
    real, imag = transform.matrix()
    expected = transform.dense(torch.complex128).reshape(real.shape)
    exact = {"rtol": 1e-6, "atol": 1e-6} if real.dtype == torch.float32 else {}
    torch.testing.assert_close(real, expected.real.to(real.dtype), **exact)
    torch.testing.assert_close(imag, expected.imag.to(imag.dtype), **exact)


def test_state_dict_round_trip(transform, tmp_path):
    torch.save(transform.state_dict(), tmp_path / "weights.pt")
    before = transform.dense(torch.complex128)
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    parameters = dict(transform.named_parameters())
    with torch.no_grad():
        for parameter in parameters.values():
            parameter += 1.0
    transform.load_state_dict(saved)
    torch.testing.assert_close(transform.dense(torch.complex128), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"n": 12},
        {"n": 7},
        {"n": 12, "modes": [0, 1, -1, -5], "heads": 2},
        {"n": 10, "inverse": True, "modes": range(-2, 2), "rank": 2},
        {"n": 6, "start": "cosine"},
    ],
    ids=str,
)
@pytest.mark.parametrize("apply", ["factored", "multiplied"])
def test_gradcheck_on_the_factors(options, apply):
    transform = perturbed(Monarch(**options, apply=apply, dtype=torch.float64))
    x = random_complex(2, transform.n_in)

    def of_factors(L, R):
        return torch.func.functional_call(transform, {"L": L, "R": R}, x)

    assert torch.autograd.gradcheck(of_factors, (transform.L, transform.R))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
@pytest.mark.parametrize("centered", [False, True])
def test_the_fourier_start_is_the_fft(n, norm, centered):
    x = random_complex(3, n)
    options = {"norm": norm, "centered": centered}
    forward = Monarch(n, **options, **DOUBLE)
    inverse = Monarch(n, inverse=True, **options, **DOUBLE)
    shift = (lambda z: torch.fft.ifftshift(z, dim=-1)) if centered else (lambda z: z)
    back = (lambda z: torch.fft.fftshift(z, dim=-1)) if centered else (lambda z: z)
    torch.testing.assert_close(forward(x), back(torch.fft.fft(shift(x), norm=norm)))
    torch.testing.assert_close(inverse(x), back(torch.fft.ifft(shift(x), norm=norm)))
    torch.testing.assert_close(Fourier(n, **options)(x), forward(x))
    torch.testing.assert_close(Fourier(n, inverse=True, **options)(x), inverse(x))
    torch.testing.assert_close(inverse(forward(x)), x)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
@pytest.mark.parametrize(
    ("start", "reference", "inverse_reference"),
    [
        ("cosine", scipy.fft.dct, scipy.fft.idct),
        ("sine", scipy.fft.dst, scipy.fft.idst),
    ],
)
def test_the_trigonometric_starts_are_those_of_scipy(n, norm, start, reference, inverse_reference):
    x = torch.randn(3, n, dtype=torch.float64)
    forward = Monarch(n, start=start, norm=norm, **DOUBLE)(x.to(torch.complex128))
    inverse = Monarch(n, start=start, norm=norm, inverse=True, **DOUBLE)(x.to(torch.complex128))
    torch.testing.assert_close(forward.real, torch.from_numpy(reference(x.numpy(), norm=norm)))
    expected = torch.from_numpy(inverse_reference(x.numpy(), norm=norm))
    torch.testing.assert_close(inverse.real, expected)
    assert forward.imag.abs().max() < 1e-10 * forward.real.abs().max()


@pytest.mark.parametrize("n", [1, 2, 8, 64, 512])
def test_the_hadamard_start(n):
    expected = torch.from_numpy(scipy.linalg.hadamard(n) / np.sqrt(n)).to(torch.complex128)
    torch.testing.assert_close(Monarch.hadamard(n, **DOUBLE).dense(torch.complex128), expected)


@pytest.mark.parametrize("n", SIZES)
def test_the_identity_start(n):
    x = random_complex(2, n)
    torch.testing.assert_close(Monarch.identity(n, **DOUBLE)(x), x)


@pytest.mark.parametrize("n", [85, 512])
def test_the_random_start_keeps_the_variance(n):
    gain = [
        Monarch.random(n, **DOUBLE).dense(torch.complex128).abs().square().sum(1).mean()
        for _ in range(20)
    ]
    assert abs(torch.stack(gain).mean() - 1.0) < 0.1


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("n_kept", [1, 5, None])
def test_factored_and_multiplied_agree(n, inverse, n_kept):
    modes = None if n_kept is None else range(-(n_kept // 2), n_kept - n_kept // 2)
    if modes is not None and n_kept > n:
        modes = range(n)
    options = {"modes": modes, "inverse": inverse, "rank": 2, **DOUBLE}
    factored = perturbed(Monarch(n, apply="factored", **options))
    multiplied = Monarch(n, apply="multiplied", **options)
    multiplied.load_state_dict(factored.state_dict())
    x, y = random_complex(2, factored.n_in), random_complex(2, factored.n_out)
    torch.testing.assert_close(factored(x), multiplied(x))
    torch.testing.assert_close(factored.adjoint(y), multiplied.adjoint(y))


@pytest.mark.parametrize("start", ["fourier", "cosine", "sine"])
@pytest.mark.parametrize("inverse", [False, True])
def test_kept_modes_are_part_of_the_full_transform(start, inverse):
    kept = [3, 0, 11, 7]
    full = Monarch(35, start=start, inverse=inverse, **DOUBLE).dense(torch.complex128)
    part = Monarch(35, start=start, inverse=inverse, modes=kept, **DOUBLE).dense(torch.complex128)
    torch.testing.assert_close(part, full[:, kept] if inverse else full[kept])


def test_centered_modes_are_signed_frequencies():
    modes = range(-3, 4)
    full = Fourier(12, centered=True).dense(torch.complex128)
    expected = full[[f + 6 for f in modes]]
    for transform in (
        Fourier(12, centered=True, modes=modes),
        Monarch(12, centered=True, modes=modes, **DOUBLE),
    ):
        torch.testing.assert_close(transform.dense(torch.complex128), expected)


def test_the_factors_are_those_of_monarch_multiply():
    transform = perturbed(Monarch(35, block_sizes=(5, 7), **DOUBLE))
    x = random_complex(4, 35)
    ((L, R),) = transform.factors()
    assert L.shape == (5, 7, 7)
    assert R.shape == (7, 5, 5)
    torch.testing.assert_close(monarch_multiply(x, L, R), transform(x))


def test_parameters_are_real_and_only_those_of_the_kept_modes():
    transform = Monarch(64, modes=range(-6, 6), heads=2)
    assert all(not p.is_complex() for p in transform.parameters())
    assert sum(p.numel() for p in transform.parameters()) == 2 * 2 * (64 * 8 + 12 * 8)


def test_frozen_and_heads():
    assert not any(p.requires_grad for p in Monarch(12, frozen=True).parameters())
    two = Monarch(12, heads=2, **DOUBLE)
    x = random_complex(3, 4, 12)
    torch.testing.assert_close(two(x), torch.fft.fft(x, norm="ortho"))
    with torch.no_grad():
        two.L[1] *= 2
    torch.testing.assert_close(two(x)[:, 2:], 2 * torch.fft.fft(x[:, 2:], norm="ortho"))
    torch.testing.assert_close(two(x)[:, :2], torch.fft.fft(x[:, :2], norm="ortho"))


def test_extra_rank_starts_exactly_and_can_learn():
    transform = Monarch(12, rank=3, **DOUBLE)
    x = random_complex(2, 12)
    torch.testing.assert_close(transform(x), torch.fft.fft(x, norm="ortho"))
    transform(x).abs().sum().backward()
    assert (transform.L.grad[..., 1:, :].abs() > 0).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Monarch(320, block_sizes=(7, 45)), r"n=320 and block_sizes=\(7, 45\)"),
        (lambda: Monarch(12, start="wavelet"), "start must be one of fourier, cosine"),
        (lambda: Monarch.cosine(12, centered=True), "only the Fourier start"),
        (lambda: Monarch.hadamard(12), "power of two, got n=12"),
        (lambda: Monarch(12, norm="unitary"), "norm must be one of ortho"),
        (
            lambda: Monarch(12, dtype=torch.complex64),
            "dtype must be one of torch.float32",
        ),
        (lambda: Monarch(12, apply="fast"), "apply must be one of"),
        (
            lambda: Monarch.cosine(12, rank=1),
            "rank must be a whole number of at least 2",
        ),
        (lambda: Monarch(12, heads=0), "heads must be a whole number of at least 1"),
        (lambda: Fourier(0), "n must be a whole number of at least 1"),
        (lambda: Fourier(12, modes=[0, 12]), "distinct frequencies on a grid of n=12"),
        (lambda: Monarch(12)(torch.zeros(11, dtype=torch.cfloat)), "12 entries"),
        (lambda: Monarch(4, heads=2)(torch.zeros(3, 4, dtype=torch.cfloat)), "channel axis"),
    ],
)
def test_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("inverse", [False, True])
def test_blocks_that_no_kept_mode_belongs_to_are_not_learned(inverse):
    transform = Monarch(64, modes=range(3), inverse=inverse)
    assert sum(p.numel() for p in transform.parameters()) == 2 * (64 * 3 + 3 * 8)
    whole = Monarch(64, inverse=inverse, dtype=torch.float64).dense(torch.complex128)
    kept = whole[:, :3] if inverse else whole[:3]
    torch.testing.assert_close(transform.double().dense(torch.complex128), kept, rtol=0, atol=1e-7)


@pytest.mark.parametrize("inverse", [False, True])
def test_weights_with_all_blocks_are_cut_when_they_are_loaded(inverse):
    whole = Monarch(64, inverse=inverse)
    perturbed(whole)
    transform = Monarch(64, modes=range(3), inverse=inverse)
    of_frequencies, of_points = ("R", "L") if inverse else ("L", "R")
    state = {
        of_frequencies: getattr(whole, of_frequencies)[:, :3],
        of_points: getattr(whole, of_points),
    }
    transform.load_state_dict(state)
    dense = whole.dense()
    torch.testing.assert_close(transform.dense(), dense[:, :3] if inverse else dense[:3])
    with pytest.raises(RuntimeError, match="size mismatch"):
        transform.load_state_dict({name: value[:, :, :5] for name, value in state.items()})
