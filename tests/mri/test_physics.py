"""Laws of the encoding operator and of the conjugate-gradient solver."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from monarch_core.transforms import Dense, Fourier, Monarch
from mri.physics import axis_transforms as physics
from mri.physics.axis_transforms import AxisTransforms, axis_transforms
from mri.physics.conjugate_gradient import conjugate_gradient
from mri.physics.encoding import (
    CoilMaps,
    Sense,
    check_measurement,
    zero_filled,
    zero_filled_scale,
)

MEASURED = (
    Path(__file__).parents[2]
    / "../shared/data/mri/lab-midas__ismrm-moco-workshop/data__brain_slice.npz"
)
FACTORIES = {
    "fourier": Fourier,
    "monarch": partial(Monarch, dtype=torch.float64),
    "random_monarch": lambda n, inverse, norm, centered: Monarch.random(
        n, inverse=inverse, dtype=torch.float64
    ),
    "dense": partial(Dense, dtype=torch.float64),
}
# (batch, echoes, coils, height, width): odd, prime, non-square, one coil, one echo
SIZES = [(2, 2, 3, 6, 9), (1, 1, 1, 7, 4), (3, 1, 2, 5, 12)]


def random_complex(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def random_mask(*shape: int) -> Tensor:
    return (torch.rand(*shape, dtype=torch.float64) < 0.6).to(torch.float64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


@pytest.fixture(params=FACTORIES)
def factory(request):
    return FACTORIES[request.param]


@pytest.fixture(params=SIZES, ids=str)
def problem(request, factory):
    b, e, c, h, w = request.param
    sense = Sense(
        random_complex(b, c, h, w), random_mask(b, h, w), axis_transforms(factory, (h, w))
    )
    return sense, random_complex(b, e, h, w), random_complex(b, e, c, h, w)


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).sum()


def test_dot_products_agree(problem):
    sense, x, y = problem
    torch.testing.assert_close(inner(y, sense.forward(x)), inner(sense.adjoint(y), x))


@pytest.mark.parametrize("chunk", [1, 2**20])
def test_backward_is_the_adjoint(problem, chunk, monkeypatch):
    monkeypatch.setattr(physics, "chunk_bytes", lambda device: chunk)
    sense, x, y = problem
    _, vjp = torch.func.vjp(sense.forward, x)
    torch.testing.assert_close(vjp(y)[0], sense.adjoint(y))


def test_normal_is_forward_then_adjoint(problem):
    sense, x, _ = problem
    sense.mask = torch.rand_like(sense.mask)  # weights, not only zeros and ones
    torch.testing.assert_close(sense.normal(x), sense.adjoint(sense.forward(x)))


@pytest.mark.parametrize("n_images", [1, 2, 4])
def test_axis_transforms_are_two_matrix_products(factory, n_images, monkeypatch):
    # However many of the six images are transformed at once.
    monkeypatch.setattr(physics, "chunk_bytes", lambda device: n_images * 6 * 9 * 16)
    transform = axis_transforms(factory, (6, 9))
    x = random_complex(2, 3, 6, 9)
    along_height = transform.along_height.dense(torch.complex128)
    along_width = transform.along_width.dense(torch.complex128)
    torch.testing.assert_close(transform(x), along_height @ x @ along_width.mT)
    torch.testing.assert_close(transform.adjoint(x), along_height.mH @ x @ along_width.conj())


@pytest.mark.parametrize("shape", [(3, 3), (4, 6), (7, 10)])
@pytest.mark.parametrize("factory", [Fourier, FACTORIES["monarch"]], ids=["fft", "monarch"])
def test_transform_is_the_centred_orthonormal_dft(shape, factory):
    x = random_complex(2, *shape)
    centred = partial(np.fft.ifftshift, axes=(-2, -1)), partial(np.fft.fftshift, axes=(-2, -1))
    there = centred[1](np.fft.fft2(centred[0](x.numpy()), norm="ortho"))
    back = centred[1](np.fft.ifft2(centred[0](x.numpy()), norm="ortho"))
    torch.testing.assert_close(axis_transforms(factory, shape)(x), torch.from_numpy(there))
    inverse = axis_transforms(factory, shape, inverse=True)
    torch.testing.assert_close(inverse(x), torch.from_numpy(back))


def test_constant_image_has_all_energy_at_the_centre():
    kspace = axis_transforms(Fourier, (3, 3))(torch.ones(3, 3, dtype=torch.complex64))
    expected = torch.zeros(3, 3, dtype=torch.complex64)
    expected[1, 1] = 3
    torch.testing.assert_close(kspace, expected)


@pytest.mark.parametrize("factory", [Fourier, FACTORIES["monarch"]], ids=["fft", "monarch"])
def test_zero_filled_with_the_inverse_dft_is_the_adjoint(factory):
    maps, mask, kspace = (
        random_complex(2, 3, 6, 9),
        random_mask(2, 6, 9),
        random_complex(2, 2, 3, 6, 9),
    )
    sense = Sense(maps, mask, axis_transforms(Fourier, (6, 9)))
    inverse = axis_transforms(factory, (6, 9), inverse=True)
    torch.testing.assert_close(zero_filled(kspace, maps, mask, inverse), sense.adjoint(kspace))


def test_fully_sampled_unit_maps_recover_the_image():
    maps = random_complex(1, 4, 5, 6)
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    sense = Sense(maps, torch.ones(1, 5, 6, dtype=torch.float64), axis_transforms(Fourier, (5, 6)))
    x = random_complex(1, 2, 5, 6)
    torch.testing.assert_close(sense.adjoint(sense.forward(x)), x)


def test_coil_maps_are_shared_by_echoes_but_not_by_the_batch():
    maps, x = random_complex(2, 3, 4, 5), random_complex(2, 2, 4, 5)
    seen = CoilMaps(maps).forward(x)
    torch.testing.assert_close(seen[1, 0, 2], maps[1, 2] * x[1, 0])
    torch.testing.assert_close(
        CoilMaps(maps).adjoint(seen), maps.abs().square().sum(1)[:, None] * x
    )


def test_maps_learn_through_the_adjoint_whatever_was_done_before():
    maps, z = random_complex(1, 2, 5, 4).requires_grad_(), random_complex(1, 1, 2, 5, 4)
    coils = CoilMaps(maps)
    with torch.no_grad():
        before = coils.adjoint(z)
    y = coils.adjoint(z)
    torch.testing.assert_close(before, y.detach())
    y.abs().sum().backward()
    found, maps.grad = maps.grad, None
    CoilMaps(maps).adjoint(z).abs().sum().backward()
    torch.testing.assert_close(found, maps.grad)


def test_scale_is_the_root_mean_square_of_the_zero_filled_image():
    kspace = random_complex(2, 3, 4, 6, 9)
    kspace[1, 2] = 0
    images = axis_transforms(Fourier, (6, 9), inverse=True)(kspace)
    expected = images.abs().square().sum(2).mean((-2, -1)).sqrt()
    expected[1, 2] = 1
    torch.testing.assert_close(zero_filled_scale(kspace)[..., 0, 0], expected)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"kspace": (2, 1, 3, 6, 8)}, r"k-space has height x width 6 x 8.*built for 6 x 9; crop"),
        ({"maps": (2, 3, 9, 6)}, r"coil maps has height x width 9 x 6.*one model serves one grid"),
        ({"mask": (2, 6, 6)}, r"the mask has height x width 6 x 6"),
        ({"maps": (2, 4, 6, 9)}, r"k-space has 3 coils and the maps have 4"),
        ({"mask": (1, 6, 9)}, r"batch axes disagree: k-space \(2, 1, 3, 6, 9\)"),
    ],
)
def test_shapes_that_do_not_belong_together_are_named(shapes, message):
    all_shapes = {"kspace": (2, 1, 3, 6, 9), "maps": (2, 3, 6, 9), "mask": (2, 6, 9)} | shapes
    with pytest.raises(ValueError, match=message):
        check_measurement(*(torch.zeros(s) for s in all_shapes.values()), (6, 9), (6, 9))


def test_sense_names_wrong_shapes():
    transform = axis_transforms(Fourier, (6, 9))
    with pytest.raises(ValueError, match="the mask has height x width 9 x 6"):
        Sense(random_complex(3, 6, 9), random_mask(9, 6), transform)
    with pytest.raises(ValueError, match=r"must share their batch axes"):
        Sense(random_complex(2, 3, 6, 9), random_mask(6, 9), transform)
    with pytest.raises(ValueError, match="the array has height x width 9 x 6"):
        transform(random_complex(9, 6))
    with pytest.raises(ValueError, match="the array has height x width 2 x 9"):
        transform.adjoint(random_complex(2, 9))


def test_rectangular_transforms_change_the_grid():
    transform = AxisTransforms(Fourier(8, modes=range(-2, 3), centered=True), Fourier(6))
    assert transform.shape_in == (8, 6)
    assert transform.shape_out == (5, 6)
    x, y = random_complex(8, 6), random_complex(5, 6)
    torch.testing.assert_close(inner(y, transform(x)), inner(transform.adjoint(y), x))


# Conjugate gradients


def dense_system(n: int, rank: int) -> tuple[Tensor, Tensor]:
    factor = random_complex(2, rank, n)
    return factor.mH @ factor, random_complex(2, n)


def as_images(matrix: Tensor, h: int, w: int):
    return lambda x: (matrix @ x.flatten(-2).unsqueeze(-1)).squeeze(-1).unflatten(-1, (h, w))


@pytest.mark.parametrize("lamda", [0.5, torch.tensor(0.5, dtype=torch.float64)])
@pytest.mark.parametrize("with_start", [False, True])
def test_conjugate_gradients_solve_the_normal_equations(lamda, with_start):
    matrix, b = dense_system(12, rank=5)
    start = random_complex(2, 3, 4) if with_start else None
    x = conjugate_gradient(as_images(matrix, 3, 4), b.unflatten(-1, (3, 4)), lamda, 40, start)
    expected = torch.linalg.solve(matrix + 0.5 * torch.eye(12), b)
    torch.testing.assert_close(x.flatten(-2), expected)


def test_each_image_of_a_batch_is_its_own_system():
    matrix, b = dense_system(12, rank=12)
    b = b.unflatten(-1, (3, 4))
    together = conjugate_gradient(as_images(matrix, 3, 4), b, 0.1, 3)
    for i in range(2):
        alone = conjugate_gradient(as_images(matrix[i], 3, 4), b[i], 0.1, 3)
        torch.testing.assert_close(together[i], alone)


def test_gradient_through_the_solver_is_that_of_the_solution():
    factor = random_complex(6, 6).requires_grad_()
    b = random_complex(6).requires_grad_()
    lamda = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def by_cg(factor, b, lamda):
        normal = as_images(factor.mH @ factor, 2, 3)
        return conjugate_gradient(normal, b.unflatten(-1, (2, 3)), lamda, 25).flatten(-2)

    def directly(factor, b, lamda):
        return torch.linalg.solve(factor.mH @ factor + lamda * torch.eye(6), b)

    weights = random_complex(6)
    gradients = [
        torch.autograd.grad(inner(weights, solve(factor, b, lamda)).real, (factor, b, lamda))
        for solve in (by_cg, directly)
    ]
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_zero_and_solved_systems_stay_finite_with_their_gradients():
    b = torch.zeros(2, 3, 4, dtype=torch.complex64)
    b[1] = 1
    b.requires_grad_()
    x = conjugate_gradient(lambda image: image, b, 0.0, 6)  # solved after one step
    torch.testing.assert_close(x, b)
    (gradient,) = torch.autograd.grad(x.real.sum(), b)
    assert gradient.isfinite().all()


def test_solver_rejects_values_that_make_no_sense():
    b = torch.ones(2, 2, dtype=torch.complex64)
    with pytest.raises(ValueError, match="n_iterations must be from 1 to 10000, got 0"):
        conjugate_gradient(lambda x: x, b, 0.1, 0)
    with pytest.raises(ValueError, match=r"lamda must be a number and not negative, got -0\.1"):
        conjugate_gradient(lambda x: x, b, -0.1, 3)


# The measured slice: sigpy as oracle


@pytest.fixture(scope="module")
def measured():
    if not MEASURED.is_file():
        pytest.skip("the measured 7-coil brain slice is not here (lab-midas/ismrm-moco-workshop)")
    coil_images = np.ascontiguousarray(np.load(MEASURED)["arr_0"].transpose(2, 0, 1))
    coil_images /= np.abs(coil_images).max()
    root_sum_of_squares = np.sqrt(np.square(np.abs(coil_images)).sum(0))
    maps = (coil_images / root_sum_of_squares).astype(np.complex64)
    mask = (np.random.default_rng(1).random(maps.shape[1:]) < 0.3).astype(np.float32)
    return maps, mask, root_sum_of_squares.astype(np.complex64)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("factory", [Fourier, Monarch], ids=["fft", "monarch"])
def test_agrees_with_sigpy_on_the_measured_slice(measured, factory):
    from sigpy.mri.linop import Sense as SigpySense

    maps, mask, image = measured
    theirs = SigpySense(maps, weights=mask)
    ours = Sense(
        torch.from_numpy(maps)[None],
        torch.from_numpy(mask)[None],
        axis_transforms(factory, mask.shape),
    )
    with torch.no_grad():
        kspace = ours.forward(torch.from_numpy(image)[None, None])
        back = ours.adjoint(kspace)[0, 0].numpy()
    assert relative_error(kspace[0, 0].numpy(), theirs(image)) < 1e-5
    assert relative_error(back, theirs.H(theirs(image))) < 1e-5


def test_conjugate_gradients_agree_with_sigpy_on_the_measured_slice(measured):
    from sigpy.mri.app import SenseRecon

    maps, mask, image = measured
    sense = Sense(
        torch.from_numpy(maps)[None],
        torch.from_numpy(mask)[None],
        axis_transforms(Fourier, mask.shape),
    )
    kspace = sense.forward(torch.from_numpy(image)[None, None])
    ours = conjugate_gradient(sense.normal, sense.adjoint(kspace), 0.01, 10)
    theirs = SenseRecon(
        kspace[0, 0].numpy(), maps, lamda=0.01, weights=mask, max_iter=10, show_pbar=False
    ).run()
    assert relative_error(ours[0, 0].numpy(), theirs) < 1e-5
