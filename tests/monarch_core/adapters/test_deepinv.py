"""Laws of the adapter to deepinv, against the installed package."""

import pytest
import torch
from planes import DFT, GRIDS, cropping, gradients, inner, learned, random_complex, solved

from monarch_core.transforms import Fourier
from mri.models.sense import CgSense
from mri.physics.axis_transforms import axis_transforms
from mri.physics.encoding import Sense

pytest.importorskip("deepinv", reason="deepinv is not installed here: see `make hosts`")

from deepinv.optim.data_fidelity import L2
from deepinv.physics import MRI, GaussianNoise, LinearPhysics, MultiCoilMRI
from deepinv.physics.nufft import NonCartesianMRI

from monarch_core.adapters.deepinv import DeepinvTransform, TransformPhysics

DTYPES = [torch.float32, torch.float64]
LAMDA = 0.3
EXACT = {"CG": {"eps": 1e-30}}  # what it adds to energies, so as not to divide by zero


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def real(x):
    """(B, ...) complex as (B, 2, ...) real."""
    return torch.stack((x.real, x.imag), dim=1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_adjoint(grid, dtype):
    physics = TransformPhysics(learned(grid, dtype))
    x, y = torch.randn(2, 2, *grid, dtype=dtype), torch.randn(2, 2, *grid, dtype=dtype)
    assert physics.A(x).dtype == physics.A_adjoint(y).dtype == dtype
    left, right = inner(y, physics.A(x)), inner(physics.A_adjoint(y), x)
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-4)
    assert physics.adjointness_test(x) < 1e-5


def test_adjoint_of_a_transform_that_drops_frequencies():
    physics = TransformPhysics(cropping())
    x = torch.randn(3, 2, 8, 6, dtype=torch.float64)
    assert physics.A(x).shape == (3, 2, 5, 6)
    assert physics.adjointness_test(x) < 1e-12


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("factory", DFT)
def test_the_dft_is_that_of_the_host(grid, factory, dtype):
    ours, theirs = TransformPhysics(axis_transforms(DFT[factory], grid)), MRI(img_size=grid)
    x = torch.randn(3, 2, *grid, dtype=dtype)
    torch.testing.assert_close(ours(x).to(dtype), theirs(x))
    torch.testing.assert_close(ours.A_adjoint(x).to(dtype), theirs.A_adjoint(x))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_an_encoding_with_coils_is_that_of_the_host(grid):
    maps, mask = random_complex(4, *grid), (torch.rand(grid) < 0.6).double()
    ours = TransformPhysics(Sense(maps, mask, axis_transforms(Fourier, grid)))
    theirs = MultiCoilMRI(mask=mask, coil_maps=maps)
    x = torch.randn(3, 2, *grid, dtype=torch.float64)
    y = torch.randn(3, 2, 4, *grid, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.A_adjoint(y), theirs.A_adjoint(y))
    solved = [physics.A_dagger(y, max_iter=7) for physics in (ours, theirs)]
    torch.testing.assert_close(*solved, rtol=1e-5, atol=1e-5)


def test_options_are_those_of_the_host():
    noise = GaussianNoise(sigma=0.1)
    physics = TransformPhysics(learned((7, 4)), noise_model=noise, max_iter=9, solver="CG")
    assert (physics.noise_model, physics.max_iter, physics.solver) == (noise, 9, "CG")
    x = torch.zeros(1, 2, 7, 4, dtype=torch.float64)
    assert physics.A(x).norm() == 0 < physics(x).norm()


@pytest.mark.parametrize("solver", ["CG", "lsqr"])
def test_what_is_learned_through_their_solver_has_the_exact_gradient(solver):
    transform = learned((7, 4))
    physics = TransformPhysics(transform, max_iter=200, tol=1e-13)
    y, target = random_complex(1, 7, 4), random_complex(1, 7, 4)
    gamma = torch.tensor(1 / LAMDA, dtype=torch.float64)
    x = physics.prox_l2(0.0, real(y), gamma, solver=solver, **EXACT.get(solver, {}))
    expected = solved(transform, y[0], LAMDA)[None]
    torch.testing.assert_close(x, real(expected))
    torch.testing.assert_close(
        gradients((x - real(target)).square().sum(), transform),
        gradients((expected - target).abs().square().sum(), transform),
    )


def test_the_pseudo_inverse_learns():
    transform = learned((5, 9))
    physics = TransformPhysics(transform, max_iter=200, tol=1e-13)
    y = random_complex(1, 5, 9)
    x = physics.A_dagger(real(y), **EXACT["CG"])
    expected = solved(transform, y[0], 1e-8)[None]
    torch.testing.assert_close(x, real(expected))
    weights = torch.randn_like(x)
    torch.testing.assert_close(
        gradients((x * weights).sum(), transform),
        gradients((real(expected) * weights).sum(), transform),
    )


def test_their_data_fidelity_has_the_gradient_of_least_squares():
    physics = TransformPhysics(learned((6, 3)))
    x = torch.randn(2, 2, 6, 3, dtype=torch.float64)
    y = torch.randn(2, 2, 6, 3, dtype=torch.float64)
    expected = physics.A_adjoint(physics.A(x) - y)
    torch.testing.assert_close(L2().grad(x, y, physics), expected)


def test_an_implicit_backward_pass_that_would_teach_nothing_is_refused():
    with pytest.raises(ValueError, match=r"implicit_backward_solver=True .*requires_grad_\(False"):
        TransformPhysics(learned((7, 4)), implicit_backward_solver=True)
    fixed = learned((7, 4)).requires_grad_(False)
    physics = TransformPhysics(fixed, implicit_backward_solver=True, max_iter=200, tol=1e-13)
    y = torch.randn(1, 2, 7, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(physics.A_dagger(y, **EXACT["CG"]).sum(), y)
    step_by_step = TransformPhysics(fixed, max_iter=200, tol=1e-13)
    (expected,) = torch.autograd.grad(step_by_step.A_dagger(y, **EXACT["CG"]).sum(), y)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)


def test_the_parameters_are_those_of_the_physics():
    transform = learned((5, 9))
    assert list(TransformPhysics(transform).parameters()) == list(transform.parameters())


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_theirs_stands_in_ours(grid):
    maps, mask = random_complex(2, 3, *grid), (torch.rand(2, *grid) < 0.6).double()
    theirs, ours = DeepinvTransform(MRI(img_size=grid), grid), axis_transforms(Fourier, grid)
    assert (theirs.shape_in, theirs.shape_out) == (grid, grid)
    with_theirs, with_ours = Sense(maps, mask, theirs), Sense(maps, mask, ours)
    x, y = random_complex(2, 2, *grid), random_complex(2, 2, 3, *grid)
    torch.testing.assert_close(with_theirs.forward(x), with_ours.forward(x))
    torch.testing.assert_close(with_theirs.adjoint(y), with_ours.adjoint(y))
    torch.testing.assert_close(inner(y, with_theirs.forward(x)), inner(with_theirs.adjoint(y), x))
    solve = [CgSense(transform, [0.1], 4) for transform in (theirs, ours)]
    torch.testing.assert_close(solve[0](y, maps, mask), solve[1](y, maps, mask))


def test_their_mask_is_ours():
    grid, mask = (7, 4), (torch.rand(7, 4) < 0.6).double()
    maps, x = random_complex(3, *grid), random_complex(1, *grid)
    inside = Sense(maps, torch.ones_like(mask), DeepinvTransform(MRI(mask=mask), grid))
    outside = Sense(maps, mask, axis_transforms(Fourier, grid))
    torch.testing.assert_close(inside.forward(x), outside.forward(x))
    torch.testing.assert_close(inside.normal(x), outside.normal(x))


class Wrong(LinearPhysics):
    def A(self, x):
        return 2 * x

    def A_adjoint(self, y):
        return y


def test_what_does_not_fit_is_refused():
    grid = (7, 4)
    with pytest.raises(ValueError, match=r"NonCartesianMRI are on no grid.*A_dagger"):
        DeepinvTransform(NonCartesianMRI.__new__(NonCartesianMRI), grid)
    with pytest.raises(ValueError, match=r"MultiCoilMRI makes an array .* coils.* belong to"):
        DeepinvTransform(MultiCoilMRI(coil_maps=random_complex(3, *grid), img_size=grid), grid)
    with pytest.raises(ValueError, match=r"MRI makes an array .* mask for each image"):
        DeepinvTransform(MRI(mask=torch.ones(2, 2, *grid)), grid)
    with pytest.raises(ValueError, match=r"MRI fails on an image of 5 x 4 .* shape_in"):
        DeepinvTransform(MRI(img_size=grid), (5, 4))
    with pytest.raises(ValueError, match="adjoint of Wrong"):
        DeepinvTransform(Wrong(), grid)
    with pytest.raises(ValueError, match="MRI is not linear over the complex numbers"):
        DeepinvTransform(MRI(mask=(torch.rand(2, *grid) < 0.5).float()), grid)
    physics = TransformPhysics(learned(grid))
    with pytest.raises(ValueError, match=r"must be real, .* got torch.float64 \(1, 3, 7, 4\)"):
        physics.A(torch.randn(1, 3, *grid, dtype=torch.float64))
    with pytest.raises(ValueError, match="solver must be one of CG, lsqr, got 'minres'"):
        physics.A_dagger(torch.randn(1, 2, *grid, dtype=torch.float64), solver="minres")


def test_what_the_document_shows(run_snippet):
    names = run_snippet("deepinv")
    assert all(p.grad.norm() > 0 for p in names["physics"].transform.transform.parameters())
    assert names["sense"].normal(torch.ones(1, 35, 24, dtype=torch.complex64)).isfinite().all()
