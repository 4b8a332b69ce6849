"""Laws of the adapter to mrpro, against the installed package."""

import pytest
import torch
from planes import DFT, GRIDS, cropping, gradients, inner, learned, random_complex, solved

from monarch_core.transforms import Fourier
from mri.models.sense import CgSense, SenseReconstruction
from mri.physics.axis_transforms import axis_transforms
from mri.physics.encoding import Sense

pytest.importorskip("mrpro", reason="mrpro is not installed here: see `make hosts`")

from mrpro.algorithms.optimizers import cg
from mrpro.data import KTrajectory, SpatialDimension
from mrpro.operators import (
    ConjugateGradientOp,
    EinsumOp,
    FastFourierOp,
    FourierOp,
    LinearOperator,
    SensitivityOp,
)

from monarch_core.adapters.mrpro import MrproTransform, TransformOp


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def fourier_op(grid, rows=slice(None), angle=0.0):
    """The Fourier operator of a Cartesian trajectory, of some of its rows, or of one turned."""
    ky, kx = (torch.arange(n, dtype=torch.float64) - n // 2 for n in grid)
    ky, kx = torch.meshgrid(ky[rows], kx, indexing="ij")
    turn = torch.tensor(angle, dtype=torch.float64)
    ky, kx = turn.cos() * ky + turn.sin() * kx, turn.cos() * kx - turn.sin() * ky
    size = SpatialDimension(1, *grid)
    return FourierOp(
        size, size, KTrajectory(*(k.expand(1, 1, 1, *ky.shape) for k in (0 * kx, ky, kx)))
    )


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_adjoint(grid, dtype):
    op = TransformOp(learned(grid, dtype.to_real()))
    x, y = random_complex(2, 3, 1, *grid, dtype=dtype), random_complex(2, 3, 1, *grid, dtype=dtype)
    assert op(x)[0].dtype == op.H(y)[0].dtype == dtype
    torch.testing.assert_close(inner(y, op(x)[0]), inner(op.H(y)[0], x), rtol=1e-5, atol=1e-4)


def test_adjoint_of_a_transform_that_drops_frequencies():
    op = TransformOp(cropping())
    x, y = random_complex(2, 8, 6), random_complex(2, 5, 6)
    torch.testing.assert_close(inner(y, op(x)[0]), inner(op.H(y)[0], x))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("host", [lambda grid: FastFourierOp(dim=(-2, -1)), fourier_op])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("factory", DFT)
def test_the_dft_is_that_of_the_host(grid, factory, host, dtype):
    ours, theirs = TransformOp(axis_transforms(DFT[factory], grid)), host(grid)
    x = random_complex(2, 3, 1, *grid, dtype=dtype)
    torch.testing.assert_close(ours(x)[0].to(dtype), theirs(x)[0])
    torch.testing.assert_close(ours.H(x)[0].to(dtype), theirs.H(x)[0])


def test_it_composes_with_coils_and_masks_of_the_host():
    transform = learned((7, 4))
    maps, mask = random_complex(3, 7, 4), (torch.rand(7, 4) < 0.5).double()
    masking = EinsumOp(mask.to(torch.complex128), "y x, ... y x -> ... y x")
    composed = masking @ TransformOp(transform) @ SensitivityOp(maps[:, None])
    whole = TransformOp(Sense(maps, mask, transform))
    x = random_complex(2, 1, 1, 7, 4)
    torch.testing.assert_close(composed(x)[0].squeeze(2), whole(x[:, 0])[0].squeeze(1))
    torch.testing.assert_close(composed.gram(x)[0].squeeze(2), whole.gram(x[:, 0])[0])


@pytest.mark.parametrize("solver", ["cg", "unrolled operator"])
def test_what_is_learned_through_their_solver_has_the_exact_gradient(solver):
    transform, lamda = learned((7, 4)), 0.3
    op = TransformOp(transform)
    y, target = random_complex(7, 4), random_complex(7, 4)
    if solver == "cg":
        (x,) = cg(op.gram + lamda, op.H(y), tolerance=1e-12)
    else:
        solve = ConjugateGradientOp(
            lambda y: op.gram + lamda, op.H, implicit_backward=False, tolerance=1e-12
        )
        (x,) = solve(y)
    expected = solved(transform, y, lamda)
    torch.testing.assert_close(x, expected)
    torch.testing.assert_close(
        gradients((x - target).abs().square().sum(), transform),
        gradients((expected - target).abs().square().sum(), transform),
    )


def test_the_parameters_are_those_of_the_operator():
    transform = learned((5, 9))
    op = TransformOp(transform)
    assert list(op.parameters()) == list(transform.parameters())
    another = TransformOp(axis_transforms(DFT["monarch"], (5, 9)))
    another.load_state_dict(op.state_dict())
    x = random_complex(5, 9)
    torch.testing.assert_close(another(x), op(x), rtol=0, atol=0)


@pytest.mark.parametrize("host", [lambda grid: FastFourierOp(dim=(-2, -1)), fourier_op])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_theirs_stands_in_ours(grid, host):
    maps, mask = random_complex(2, 3, *grid), (torch.rand(2, *grid) < 0.6).double()
    theirs, ours = MrproTransform(host(grid), grid), axis_transforms(Fourier, grid)
    assert (theirs.shape_in, theirs.shape_out) == (grid, grid)
    with_theirs, with_ours = Sense(maps, mask, theirs), Sense(maps, mask, ours)
    x, y = random_complex(2, 2, *grid), random_complex(2, 2, 3, *grid)
    torch.testing.assert_close(with_theirs.forward(x), with_ours.forward(x))
    torch.testing.assert_close(with_theirs.adjoint(y), with_ours.adjoint(y))
    torch.testing.assert_close(inner(y, with_theirs.forward(x)), inner(with_theirs.adjoint(y), x))
    solve = [CgSense(transform, [0.1], 4) for transform in (theirs, ours)]
    torch.testing.assert_close(solve[0](y, maps, mask), solve[1](y, maps, mask))


def test_rows_that_were_not_measured_are_those_of_a_mask():
    grid, rows = (7, 4), [0, 3, 4, 6]
    mask = torch.zeros(grid, dtype=torch.float64)
    mask[rows] = 1
    theirs = MrproTransform(fourier_op(grid, rows), grid)
    assert theirs.shape_out == (4, 4)
    maps, x = random_complex(3, *grid), random_complex(1, *grid)
    few = Sense(maps, torch.ones(4, 4, dtype=torch.float64), theirs)
    all_rows = Sense(maps, mask, axis_transforms(Fourier, grid))
    torch.testing.assert_close(few.forward(x), all_rows.forward(x)[..., rows, :])
    torch.testing.assert_close(few.normal(x), all_rows.normal(x))


def test_an_adjoint_of_theirs_is_a_reconstruction():
    grid = (5, 9)
    inverse = MrproTransform(FastFourierOp(dim=(-2, -1)).H, grid)
    ours = SenseReconstruction(axis_transforms(Fourier, grid, inverse=True))
    y, maps, mask = (
        random_complex(1, 1, 2, *grid),
        random_complex(1, 2, *grid),
        torch.ones(1, *grid),
    )
    expected = ours(y, maps, mask)
    torch.testing.assert_close(SenseReconstruction(inverse)(y, maps, mask), expected)


class Wrong(LinearOperator):
    def forward(self, x):
        return (2 * x,)

    def adjoint(self, y):
        return (y,)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"NonUniform.*IterativeSENSEReconstruction"):
        MrproTransform(fourier_op((6, 8), angle=0.3), (6, 8))
    with pytest.raises(ValueError, match=r"SensitivityOp makes an array .* coils.* belong to"):
        MrproTransform(SensitivityOp(random_complex(3, 1, 7, 4)), (7, 4))
    with pytest.raises(ValueError, match=r"SensitivityOp fails on an image of 7 x 4 .* shape_in"):
        MrproTransform(SensitivityOp(random_complex(1, 1, 5, 4)), (7, 4))
    with pytest.raises(ValueError, match="adjoint of Wrong"):
        MrproTransform(Wrong(), (7, 4))
    with pytest.raises(ValueError, match="shape_in must be 2 whole numbers"):
        MrproTransform(FastFourierOp(), (1, 7, 4))
    theirs = MrproTransform(FastFourierOp(), (7, 4))
    with pytest.raises(ValueError, match="5 x 4, but the transform was built for 7 x 4"):
        theirs(random_complex(5, 4))


def test_what_the_document_shows(run_snippet):
    names = run_snippet("mrpro")
    assert all(p.grad.norm() > 0 for p in names["encoding"].parameters())
    assert names["sense"].normal(torch.ones(1, 35, 24, dtype=torch.complex64)).isfinite().all()
