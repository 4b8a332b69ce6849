"""Layers and transforms on the meta device, under inference and in every precision."""

from functools import partial

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from monarch_core import Dense, Fourier, Monarch, MonarchLinear, MonarchSpectralConv
from monarch_core.layers.pointwise import PointwiseMLP
from monarch_core.layers.resample import interpolation_matrix
from monarch_core.transforms import prepared
from pde.models.channels_last import FNO

COSINE = {"transform": partial(Monarch, start="cosine", heads=2), "basis": "cosine"}
MAKERS = {
    "fourier": partial(Fourier, 12, modes=[0, 1, -1], centered=True),
    "fourier-inverse": partial(Fourier, 12, modes=[0, 1, -1], inverse=True),
    "monarch": partial(Monarch, 12, heads=2, modes=[0, 1, -1]),
    "factored": partial(Monarch, 12, apply="factored"),
    "cosine": partial(Monarch.cosine, 12, inverse=True),
    "dense": partial(Dense, 12, heads=2),
    "linear": partial(MonarchLinear, 12, 7),
    "conv": partial(MonarchSpectralConv, 2, 4, (4, 4), learn="none"),
    "conv-cosine": partial(MonarchSpectralConv, 2, 4, (4,), bias=False, **COSINE),
    "fno": partial(FNO, (4, 4), 1, 1, 4, conv_module=MonarchSpectralConv.configured(grid=(16, 12))),
}


def inputs(name, model):
    if name == "fno":
        return torch.randn(2, 1, 18, 12)
    if name == "conv":
        return torch.randn(2, 2, 16, 9)
    if name == "conv-cosine":
        return torch.randn(2, 2, 17)
    if name == "linear":
        return torch.randn(2, 12)
    return torch.randn(2, 2, model.n_in, dtype=torch.cfloat)


def made(name):
    torch.manual_seed(0)
    model = MAKERS[name]()
    with torch.device("meta"):
        skeleton = MAKERS[name]()
    assert all(p.is_meta for p in skeleton.parameters())
    return model, skeleton, inputs(name, model)


@pytest.mark.parametrize("name", MAKERS)
def test_a_skeleton_takes_over_weights(name):
    model, skeleton, x = made(name)
    expected = model(x)
    skeleton.to_empty(device="cpu").load_state_dict(model.state_dict())
    torch.testing.assert_close(skeleton(x), expected)
    learned = {name: p.requires_grad for name, p in model.named_parameters()}
    assert {name: p.requires_grad for name, p in skeleton.named_parameters()} == learned


@pytest.mark.parametrize("name", MAKERS)
def test_a_skeleton_is_assigned_weights(name):
    model, skeleton, x = made(name)
    skeleton.load_state_dict(model.state_dict(), assign=True)
    torch.testing.assert_close(skeleton(x), model(x))


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "fno"])
def test_a_skeleton_is_reset_to_the_start(name):
    model, skeleton, x = made(name)
    skeleton.to_empty(device="cpu")
    torch.manual_seed(0)
    for module in reversed(list(skeleton.modules())):
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    torch.testing.assert_close(skeleton(x), model(x))


@pytest.mark.parametrize("view", [lambda module: module, prepared])
@pytest.mark.parametrize("name", MAKERS)
def test_shapes_are_known_without_numbers(name, view):
    model, skeleton, x = made(name)
    y = view(skeleton)(x.to("meta"))
    assert y.is_meta
    assert (y.shape, y.dtype) == (model(x).shape, model(x).dtype)
    if y.requires_grad:
        y.abs().sum().backward()
        assert all(p.grad.is_meta for p in skeleton.parameters() if p.requires_grad)


def test_moving_leaves_the_indices():
    transform = Monarch.cosine(12)
    before = {name: b.clone() for name, b in transform.named_buffers()}
    transform.double().to("meta").to_empty(device="cpu")
    torch.testing.assert_close(dict(transform.named_buffers()), before)
    assert not set(transform.state_dict()) & set(before)


def test_a_matrix_without_a_start_says_so():
    dense = Dense.of(Monarch.random(12)).to_empty(device="cpu")
    with pytest.raises(ValueError, match=r"this Dense of 12 x 12 was made of a matrix .*; load"):
        dense.reset_parameters()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("periodic", [True, False])
def test_inference_on_another_grid_and_then_training(periodic, dtype):
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 8), periodic=periodic).to(dtype)
    grid = (19 + 2 * periodic, 11 if dtype == torch.float32 else 13)  # of no other test
    x = torch.randn(2, 2, *grid, dtype=dtype)
    with torch.inference_mode():
        expected = layer(x)
    y = layer(x)
    y.square().sum().backward()
    torch.testing.assert_close(y, expected)
    assert all(p.grad is not None for p in layer.parameters())


@pytest.mark.parametrize("basis", ["fourier", "cosine", "sine"])
def test_what_another_mode_computed_first_serves_all(basis):
    with torch.inference_mode():
        interpolation_matrix(13, 23, basis)
    with FakeTensorMode():
        interpolation_matrix(13, 29, basis)
    with torch.device("meta"):
        assert not interpolation_matrix(13, 31, basis).is_meta
    for n_new in (23, 29, 31):
        D = interpolation_matrix(13, n_new, basis)
        assert type(D) is torch.Tensor
        assert not D.is_inference()
        back = interpolation_matrix(n_new, 13, basis)
        smooth = 4 if basis == "fourier" else 13
        waves = torch.linalg.matrix_rank(back @ D)
        assert waves >= smooth
        D.zero_()  # a caller's own copy
        assert interpolation_matrix(13, n_new, basis).any()


def test_a_matrix_for_interpolation_has_the_digits_of_double_precision():
    # Constants are resolved by any grid; on 15 points 2 / n is no number of single precision.
    for basis, wave in (("fourier", torch.ones(15)), ("cosine", torch.ones(15))):
        exact = torch.ones(7, dtype=torch.float64)
        D = interpolation_matrix(15, 7, basis)
        torch.testing.assert_close(D @ wave.double(), exact, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("grid", [(16, 12), (9, 12)])
def test_a_layer_of_any_real_dtype_takes_fields_of_it(dtype, grid):
    torch.manual_seed(0)
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(16, 12))
    x = torch.randn(2, 2, *grid)
    expected = layer(x)
    y = layer.to(dtype)(x.to(dtype))
    assert y.dtype == dtype
    error = (y.double() - expected.double()).norm() / expected.norm()
    assert error < {torch.float64: 1e-6, torch.float16: 1e-2, torch.bfloat16: 5e-2}[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_autocast_takes_fields_of_what_it_converts(dtype):
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(16, 12))
    x = torch.randn(2, 2, 16, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x.to(dtype))
    assert y.dtype == torch.bfloat16
    assert (y - layer(x)).norm() < 5e-2 * layer(x).norm()


@pytest.mark.parametrize("name", ["linear", "conv", "conv-cosine", "fno", "mlp", "map"])
def test_double_precision_is_as_in_linear_under_autocast(name):
    made = {**MAKERS, "mlp": partial(PointwiseMLP, 2, 8, 2), "map": partial(PointwiseMLP, 2, 0, 2)}
    layer = made[name]()
    x = (torch.randn(2, 2, 12) if name in ("mlp", "map") else inputs(name, layer)).double()
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(ValueError, match=r"x\.to\("):
        layer(x)
    expected = layer.double()(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
        assert torch.nn.Linear(x.shape[-1], 3).double()(x).dtype == y.dtype == torch.float64
    torch.testing.assert_close(y, expected)


def test_empty_batches_are_transformed():
    for transform in (Fourier(12), Monarch(12), Monarch.cosine(12, apply="factored"), Dense(12)):
        assert transform(torch.zeros(0, 12, dtype=torch.cfloat)).shape == (0, 12)


def test_gradients_of_functions_on_another_grid_and_then_training():
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 8), learn="none")
    x = torch.randn(1, 2, 17, 13)  # a grid of no other test
    D = torch.func.grad(lambda s: (s * interpolation_matrix(8, 37, "fourier")).sum())(
        torch.tensor(1.0)
    )
    torch.testing.assert_close(D, interpolation_matrix(8, 37, "fourier").sum().float())
    assert type(interpolation_matrix(8, 37, "fourier").sum().item()) is float
    y = layer(x)
    y.sum().backward()
    assert layer.mode_weight.grad.isfinite().all()


@pytest.mark.parametrize("grid", [(9,), (8, 10), (8, 7, 9)])
def test_an_empty_batch_is_convolved_and_has_gradients(grid):
    layer = MonarchSpectralConv(2, 3, (4,) * len(grid), grid=grid)
    x = torch.zeros(0, 2, *grid, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == (0, 3, *grid)
    assert x.grad.shape == x.shape
    assert not any(parameter.grad.any() for parameter in layer.parameters())


def test_fields_on_the_meta_device_have_the_shape_of_the_result():
    with torch.device("meta"):
        layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10))
        assert layer(torch.zeros(5, 2, 8, 10)).shape == (5, 3, 8, 10)
