"""Layers and networks can be differentiated as often, and in whatever mode, as torch can.

The references are the same layer in double precision, finite differences, and neuralop's layer.
"""

import copy

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv
from torch.autograd import forward_ad, functional, gradcheck, gradgradcheck
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from torch.utils.checkpoint import checkpoint

from monarch_core import Monarch, MonarchSpectralConv, prepared
from monarch_core.layers import derivatives, pointwise, spectral_product
from monarch_core.layers.kernel.operator import switched_off
from monarch_core.layers.pointwise import PointwiseMLP
from pde.models.channels_last import FNO

# torch scripts its own formulas of forward mode when they are first needed.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
GRIDS = [((7,), (4,)), ((6, 5), (3, 4)), ((3, 5, 4), (2, 4, 2))]
DOUBLE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(params=[True, False], ids=["kernel", "products"])
def kernel(request):
    """Let the kernel, where there is one, take two axes in float32, or not."""
    if request.param:
        yield
        return
    with switched_off():
        yield


def two_heads(*args, **kwargs):
    return Monarch(*args, **kwargs, heads=2)


def layer_of(grid, modes, **options):
    torch.manual_seed(0)
    return MonarchSpectralConv(2, 4, modes, grid=grid, **options)


def network_of(grid, modes, conv=None, **options):
    torch.manual_seed(0)
    conv = conv or MonarchSpectralConv.configured(grid=grid, **options)
    return FNO(modes, 2, 1, 2, n_layers=2, projection_channels=3, conv_module=conv)


def of_parameters(module):
    """Return the module as a function of x and of its parameters that learn, and these."""
    learned = {name: p for name, p in module.named_parameters() if p.requires_grad}

    def call(x, *values):
        return functional_call(module, dict(zip(learned, values, strict=True)), (x,))

    return call, list(learned.values())


def fields(grid, batch=2, dtype=torch.float64):
    torch.manual_seed(1)
    return torch.randn(batch, 2, *grid, dtype=dtype)


@pytest.mark.parametrize(("grid", "modes"), GRIDS)
@pytest.mark.parametrize(
    "options",
    [{}, {"learn": "none"}, {"learn": "inverse", "bias": False, "transform": two_heads}],
    ids=["learned", "frozen", "inverse-heads-no-bias"],
)
def test_second_derivatives_of_the_layer(grid, modes, options):
    call, parameters = of_parameters(layer_of(grid, modes, **options).double())
    arguments = (fields(grid, 1).requires_grad_(), *parameters)
    first = {"check_forward_ad": True, "check_batched_grad": True}
    assert gradcheck(call, arguments, fast_mode=True, **first)
    assert gradgradcheck(call, arguments, fast_mode=True, check_fwd_over_rev=True)


@pytest.mark.parametrize(
    ("grid", "modes", "chunk"), [(*GRIDS[0], 100), (*GRIDS[1], 2**20)], ids=["pieces", "whole"]
)
def test_second_derivatives_of_the_network(grid, modes, chunk, monkeypatch):
    monkeypatch.setattr(pointwise, "chunk_bytes", lambda device: chunk)
    call, parameters = of_parameters(network_of(grid, modes).double())
    arguments = (fields(grid, 1).requires_grad_(), *parameters)
    assert gradgradcheck(call, arguments, fast_mode=True, check_fwd_over_rev=True)


def test_second_derivatives_where_a_layer_is_applied_to_itself():
    layer = MonarchSpectralConv(2, 2, (4,), grid=(7,)).double()
    call, parameters = of_parameters(torch.nn.Sequential(layer, torch.nn.Tanh(), layer))
    assert gradgradcheck(call, (fields((7,)).requires_grad_(), *parameters), fast_mode=True)


def test_gradients_to_be_differentiated_are_those_that_are_not(kernel):
    torch.manual_seed(0)
    layer, x = MonarchSpectralConv(2, 2, (4, 4), grid=(7, 8)), fields((7, 8), dtype=torch.float32)
    x.requires_grad_()
    view = prepared(layer)  # the second application has the matrices of the first
    loss = view(view(x).tanh()).sin().sum()
    leaves = [x, *layer.parameters()]
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    differentiable = torch.autograd.grad(loss, leaves, create_graph=True)
    torch.testing.assert_close(first, differentiable, rtol=1e-4, atol=1e-5)


def test_only_what_learns_has_second_derivatives():
    layer = layer_of((6, 5), (3, 4), learn="none").requires_grad_(False).double()
    layer.mode_weight.requires_grad_()
    x = fields((6, 5))
    [first] = torch.autograd.grad(layer(x).sin().sum(), layer.mode_weight, create_graph=True)
    first.square().sum().backward()
    with_all = layer_of((6, 5), (3, 4)).double()
    [first] = torch.autograd.grad(with_all(x).sin().sum(), with_all.mode_weight, create_graph=True)
    first.square().sum().backward()
    torch.testing.assert_close(layer.mode_weight.grad, with_all.mode_weight.grad, **DOUBLE)
    assert layer.bias.grad is None


@pytest.mark.parametrize(
    ("grid", "modes"), [((16,), (8,)), ((16, 12), (8, 6)), ((8, 6, 4), (4,) * 3)]
)
def test_hessian_products_of_the_frozen_layer_are_those_of_neuralop(grid, modes):
    ours = layer_of(grid, modes, learn="none").double()
    theirs = SpectralConv(2, 4, modes)
    theirs.load_state_dict({"bias": ours.bias.data, "weight.tensor": ours.weight.data})
    theirs = theirs.double()
    theirs.weight.tensor.data = ours.weight.data
    x, v = fields(grid), fields(grid).flip(0)
    results = [functional.hvp(lambda x, m=m: m(x).sin().sum(), x, v) for m in (ours, theirs)]
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)  # matrices in single precision


@pytest.mark.parametrize("make", [layer_of, network_of])
@pytest.mark.parametrize("learn", ["both", "none"])
def test_derivatives_in_single_precision_are_those_in_double(make, learn, kernel):
    model = make((16, 15), (8, 6), learn=learn)
    exact, x = copy.deepcopy(model).double(), fields((16, 15), dtype=torch.float32)
    v = x.flip(0)
    found = [of_many_kinds(model, x, v), of_many_kinds(exact, x.double(), v.double())]
    for name, expected in found[1].items():
        error = (found[0][name] - expected).norm() / expected.norm()
        assert error < 2e-5, (name, error)


def of_many_kinds(model, x, v):
    """Return directional derivatives, a Hessian product, a penalty and what it teaches."""

    def loss(x):
        return model(x).sin().sum()

    _, along = functional.jvp(model, x, v, strict=True)
    _, product = functional.hvp(loss, x, v)
    x = x.clone().requires_grad_()
    model.zero_grad()
    [first] = torch.autograd.grad(loss(x), x, create_graph=True)
    penalty = first.square().sum()
    penalty.backward()
    learned = {f"d {n}": p.grad for n, p in model.named_parameters() if p.grad is not None}
    # What the penalty is linear in has no part in it.
    learned = {name: g for name, g in learned.items() if g.abs().max() > 1e-9}
    assert learned
    return {
        "along": along,
        "product": product,
        "penalty": penalty.detach(),
        "dx": x.grad,
        **learned,
    }


def test_hessian_products_of_the_kernel_are_differences_of_its_gradients(kernel):
    layer, x = layer_of((16, 15), (8, 6)), fields((16, 15), dtype=torch.float32)
    v, step = x.flip(0), 1e-2

    def gradient(x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(layer(x).sin().sum(), x)[0]

    _, product = functional.hvp(lambda x: layer(x).sin().sum(), x, v)
    difference = (gradient(x + step * v) - gradient(x - step * v)) / (2 * step)
    assert (product - difference).norm() < 1e-3 * product.norm()


def test_a_physics_informed_loss_teaches_what_differences_say():
    """u_xx along a coordinate that the network is given, in the loss (PINO)."""
    model, points = network_of((9, 8), (4, 4)).double(), fields((9, 8))

    def residual():
        shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
        u = model(points + shift)
        probe = torch.ones_like(u, requires_grad=True)
        [u_x] = torch.autograd.grad(u, shift, probe, create_graph=True)  # linear in the probe
        [u_xx] = torch.autograd.grad(u_x, shift, create_graph=True)
        return u_xx.square()

    def by_differences(h=1e-3):
        with torch.no_grad():
            below, here, above = (model(points + s).sum() for s in (-h, 0.0, h))
        return ((below - 2 * here + above) / h**2).square()

    loss = residual()
    assert abs(loss.item() - by_differences().item()) < 1e-4 * loss.item()
    loss.backward()
    for parameter in (model.convs[0].mode_weight, model.convs[1].forward_transforms[0].L):
        direction = torch.randn_like(parameter)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-5 * direction
            values.append(residual().item())
            with torch.no_grad():
                parameter -= sign * 1e-5 * direction
        difference = (values[0] - values[1]) / 2e-5
        assert (parameter.grad * direction).sum().item() == pytest.approx(difference, rel=1e-5)


@pytest.mark.parametrize("conv", [None, SpectralConv], ids=["ours", "neuralop"])
def test_the_network_has_second_derivatives_whatever_its_layer(conv):
    model, x = network_of((8, 6), (4, 4), conv), fields((8, 6), dtype=torch.float32)
    v, step = x.flip(0), 1e-2
    exact = copy.deepcopy(model).double()
    if conv is not None:
        for c in exact.convs:
            c.weight.tensor.data = c.weight.tensor.data.to(torch.cdouble)
    _, product = functional.hvp(lambda x: exact(x).sin().sum(), x.double(), v.double())

    def gradient(x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(exact(x).sin().sum(), x)[0]

    difference = (gradient(x + step * v.double()) - gradient(x - step * v.double())) / (2 * step)
    assert (product - difference).norm() < 1e-3 * product.norm()
    _, single = functional.hvp(lambda x: model(x).sin().sum(), x, v)
    assert (single - product).norm() < 1e-5 * product.norm()


@pytest.mark.parametrize("make", [layer_of, network_of])
def test_function_transforms_give_the_derivatives_of_autograd(make, kernel):
    model, x = make((8, 9), (4, 4)), fields((8, 9), dtype=torch.float32)
    v = x.flip(0)
    leaf = x.clone().requires_grad_()
    y = model(leaf)
    [by_autograd] = torch.autograd.grad(y, leaf, y.cos().detach())
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(grad(lambda x: model(x).sin().sum())(x), by_autograd, **close)
    value, pull = vjp(model, x)
    torch.testing.assert_close(value, y.detach(), **close)
    torch.testing.assert_close(pull(y.cos().detach())[0], by_autograd, **close)
    value, along = jvp(model, (x,), (v,))
    torch.testing.assert_close(value, y.detach(), **close)
    inner = (along * y.cos()).sum(), (v * by_autograd).sum()
    torch.testing.assert_close(*inner, **close)
    with torch.no_grad(), forward_ad.dual_level():
        dual = model(forward_ad.make_dual(x, v))
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, along, **close)
    torch.testing.assert_close(vmap(model)(x.unsqueeze(1)).squeeze(1), y.detach(), **close)


@pytest.mark.parametrize("make", [layer_of, network_of])
def test_jacobians_do_not_depend_on_the_mode(make, kernel):
    model, x = make((4, 5), (2, 2)), fields((4, 5), 1, torch.float32)
    expected = functional.jacobian(model, x)
    for found in (
        jacrev(model)(x),
        jacfwd(model)(x),
        functional.jacobian(model, x, vectorize=True),
        functional.jacobian(model, x, vectorize=True, strategy="forward-mode"),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [layer_of, network_of])
def test_gradients_of_single_samples_are_those_of_batches_of_one(make, kernel):
    model, x = make((8, 9), (4, 4)), fields((8, 9), 3, torch.float32)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters, sample):
        return functional_call(model, parameters, (sample.unsqueeze(0),)).sin().sum()

    found = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    for i, sample in enumerate(x):
        model.zero_grad()
        model(sample.unsqueeze(0)).sin().sum().backward()
        for name, p in model.named_parameters():
            torch.testing.assert_close(found[name][i], p.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [layer_of, network_of])
def test_an_ensemble_is_its_members(make, kernel):
    members = [make((8, 9), (4, 4)) for _ in range(3)]
    with torch.no_grad():
        for i, member in enumerate(members):
            for p in member.parameters():
                p += 0.1 * i * torch.randn_like(p)
    x = fields((8, 9), dtype=torch.float32)
    stacked, buffers = stack_module_state(members)

    def call(parameters, buffers, x):
        return functional_call(members[0], (parameters, buffers), (x,))

    found = vmap(call, in_dims=(0, 0, None))(stacked, buffers, x)
    expected = torch.stack([member(x) for member in members])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [layer_of, network_of])
def test_several_gradients_at_once(make, kernel):
    model, x = make((8, 9), (4, 4)), fields((8, 9), dtype=torch.float32).requires_grad_()
    y = model(x)
    grads = torch.randn(3, *y.shape)
    leaves = [x, *model.parameters()]
    found = torch.autograd.grad(y, leaves, grads, is_grads_batched=True, retain_graph=True)
    singly = [torch.autograd.grad(y, leaves, g, retain_graph=True) for g in grads]
    expected = tuple(torch.stack(gs) for gs in zip(*singly, strict=True))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_map_of_points_has_directional_derivatives(kernel):
    mlp, x = PointwiseMLP(2, 5, 3), torch.randn(2, 2, 7)
    _, along = functional.jvp(mlp, x, x.flip(0), strict=True)
    step = 1e-2
    difference = (mlp(x + step * x.flip(0)) - mlp(x - step * x.flip(0))) / (2 * step)
    torch.testing.assert_close(along, difference, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("make", [layer_of, network_of])
@pytest.mark.parametrize("grid", [(8, 9), (16, 12)])
def test_what_inference_mode_has_seen_can_still_be_trained(make, grid, kernel):
    x = fields(grid, dtype=torch.float32)
    expected, model = make((8, 9), (4, 4)), make((8, 9), (4, 4))
    with torch.inference_mode():
        seen = model(x)
    y = model(x)
    torch.testing.assert_close(seen.clone(), y.detach())
    for m in (model, expected):
        m(x).sin().sum().backward()
    for p, reference in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p.grad, reference.grad)


def test_a_gradient_penalty_can_be_checkpointed(kernel):
    model = network_of((8, 9), (4, 4))

    def penalty(x):
        [first] = torch.autograd.grad(model(x).sin().sum(), x, create_graph=True)
        return first.square().sum()

    gradients = []
    for call in (penalty, lambda x: checkpoint(penalty, x, use_reentrant=False)):
        model.zero_grad()
        call(fields((8, 9), dtype=torch.float32).requires_grad_()).backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_second_derivatives_under_autocast_are_close(kernel):
    model, x = layer_of((8, 9), (4, 4)), fields((8, 9), dtype=torch.float32)
    found = []
    for enabled in (True, False):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = model(leaf)
        [first] = torch.autograd.grad(y.float().sin().sum(), leaf, create_graph=True)
        model.zero_grad()
        first.square().sum().backward()
        found.append(model.mode_weight.grad)
    assert (found[0] - found[1]).norm() < 0.05 * found[1].norm()


def test_a_training_step_does_not_take_the_formula(monkeypatch, kernel):
    model, x = network_of((8, 9), (4, 4)), fields((8, 9), dtype=torch.float32)

    def unwanted(*_):
        raise AssertionError("the slow formula")

    monkeypatch.setattr(derivatives, "formula_gradients", unwanted)
    for module, name in ((spectral_product, "formula"), (spectral_product, "formula_gradients")):
        monkeypatch.setattr(module, name, unwanted)
    monkeypatch.setattr(pointwise, "formula_gradients", unwanted)
    model(x).sin().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(AssertionError, match="the slow formula"):
        functional.hvp(lambda x: model(x).sin().sum(), x, x)
