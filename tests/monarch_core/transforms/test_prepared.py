"""A prepared view is the module itself, in values and gradients, with its matrices made once."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

from monarch_core import MonarchSpectralConv, prepared
from monarch_core.layers.kernel.operator import switched_off
from monarch_core.transforms import Dense, Fourier, Monarch
from pde.models.channels_last import FNO

TRANSFORMS = {
    "multiplied": {"apply": "multiplied"},
    "factored": {"apply": "factored"},
    "heads": {"apply": "factored", "heads": 2},
    "rank": {"start": "cosine", "apply": "factored", "rank": 3},
    "modes": {"modes": range(-3, 4)},
    "frozen": {"frozen": True},
}


def perturbed(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return module


@pytest.fixture(params=TRANSFORMS)
def transform(request):
    torch.manual_seed(0)
    return perturbed(Monarch(12, dtype=torch.float64, **TRANSFORMS[request.param]))


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(2, 12, dtype=torch.complex128)


def network(grid=(6, 9), **options):
    torch.manual_seed(0)
    conv = MonarchSpectralConv.configured(grid=grid, **options)
    return FNO((4, 4), 2, 2, 3, n_layers=2, projection_channels=5, conv_module=conv)


def fields():
    return torch.randn(2, 2, 6, 9)


def gradients(module):
    found = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    return found


def counted(module, monkeypatch):
    """Return a list that grows with every matrix multiplied out."""
    calls, matrix = [], Monarch.matrix

    def count(self):
        if self.made("matrix") is None:
            calls.append(self)
        return matrix(self)

    monkeypatch.setattr(Monarch, "matrix", count)
    return calls


def test_a_view_has_the_values_and_the_gradients_of_both_ways(transform, x):
    def loss(A):
        y = A(x)
        return (A.adjoint(y).abs().square().sum() + A(2 * x).abs().sum()) * y.abs().sum()

    transform.requires_grad_()
    view = prepared(transform)
    assert view is not transform
    assert prepared(view) is view
    expected, found = loss(transform), loss(view)
    assert torch.equal(found, expected)
    expected.backward()
    learned = gradients(transform)
    found.backward()
    torch.testing.assert_close(gradients(transform), learned)


def test_matrices_are_made_once(monkeypatch):
    model, v = network(), fields()
    calls = counted(model, monkeypatch)
    with switched_off():  # whose rows need no matrix
        view = prepared(model)
        assert len(calls) == 8  # two layers, two axes, two ways
        expected = view(view(v))
        assert len(calls) == 8
        assert torch.equal(model(model(v)), expected)
        assert len(calls) == 24


def test_a_view_shares_what_it_does_not_make():
    model = nn.ModuleDict({"net": network(), "plain": nn.Linear(3, 3), "fixed": Fourier(8)})
    view = prepared(model)
    assert view is not model
    assert type(view) is nn.ModuleDict
    assert view["plain"] is model["plain"]
    assert view["fixed"] is model["fixed"]
    assert view["net"].lifting is model["net"].lifting
    assert [*view.parameters()] == [*model.parameters()]
    assert view.state_dict().keys() == model.state_dict().keys()
    assert prepared(view) is view
    assert prepared(nn.Sequential(model["plain"])) is not None
    plain = nn.Sequential(model["plain"], None or nn.Identity())
    assert prepared(plain) is plain


def test_a_module_in_two_places_is_one_and_the_model_stays_as_it_was():
    transform = Monarch(8)
    model = nn.ModuleList([transform, nn.Sequential(transform)])
    view = prepared(model)
    assert view[0] is view[1][0] is not transform
    assert model[0] is model[1][0] is transform
    assert not [name for name, _ in transform.named_buffers() if name.startswith("made")]


def test_hooks_are_those_of_the_module():
    model, v, seen = network(), fields(), []
    model.convs[0].register_forward_hook(lambda layer, args, y: seen.append(layer))
    model.mode_gradient = model.convs[0].mode_weight.register_hook(seen.append)
    prepared(model)(v).sum().backward()
    assert [type(what) for what in seen] == [MonarchSpectralConv, torch.Tensor]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_made_without_gradients_holds_none_and_sees_no_change(mode, transform, x):
    with mode():
        view = prepared(transform)
        before = view(x)
        transform.L.mul_(2)
        assert torch.equal(view(x), before)
        torch.testing.assert_close(prepared(transform)(x), 2 * before)
    made = [t for name, t in view.named_buffers() if name.startswith("made")]
    assert made
    assert not any(t.requires_grad for t in made)


def test_a_view_follows_its_modules_mode_and_precision():
    model, v = network(), fields()
    view = prepared(model.double())
    assert torch.equal(view(v.double()), model(v.double()))
    view = prepared(model.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(view(v), model(v))
    assert not prepared(model.eval()).training


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10)), (8, 10)),
        (MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10)), (12, 7)),
        (MonarchSpectralConv(2, 3, (4,), grid=(8,), resolution_scaling_factor=2.0), (8,)),
        (MonarchSpectralConv(2, 3, (4,), max_n_modes=(5,), grid=(8,)), (8,)),
    ],
)
def test_a_layer_on_any_grid_with_any_modes(layer, shape):
    x = torch.randn(2, 2, *shape)
    view = prepared(layer)
    assert isinstance(view, MonarchSpectralConv)
    assert prepared(view) is view
    assert torch.equal(view(x), layer(x))
    out = [n + 1 for n in shape]
    assert torch.equal(view(x, output_shape=out), layer(x, output_shape=out))
    for model in (view, layer):
        model.n_modes = (2,) * len(shape)
    assert torch.equal(view(x), layer(x))
    fewer = prepared(layer)
    assert fewer.ready_for != view.ready_for
    assert torch.equal(fewer(x), layer(x))


def test_other_tensors_in_the_place_of_the_parameters_are_seen(transform, x):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.transform = transform

        def forward(self, x):
            view = prepared(self.transform)
            return view.adjoint(view(x))

    model = Twice()
    values = {name: 3 * p for name, p in model.named_parameters()}
    expected = transform.adjoint(transform(x)) * 3**4
    torch.testing.assert_close(functional_call(model, values, (x,)), expected)


def train(model, x, n_steps=5):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(n_steps):
        optimiser.zero_grad()
        view = prepared(model)
        view(view(x)).square().sum().backward()
        optimiser.step()
    return [p.detach() for p in model.parameters()]


def in_threads(*functions):
    """Return what the functions return, all started at the same moment."""
    results, start = [None] * len(functions), threading.Barrier(len(functions))

    def run(i):
        start.wait()
        try:
            results[i] = functions[i]()
        except Exception as error:  # shown by the caller
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def test_threads_train_copies_as_if_alone():
    x = fields()
    expected = train(network(), x)
    models = [network() for _ in range(3)]
    for found in in_threads(*(lambda m=m: train(m, x) for m in models)):
        torch.testing.assert_close(found, expected)


def test_threads_share_a_model_each_with_a_view_and_a_backward_pass_of_its_own():
    model, x = network(), fields()
    leaves = in_threads(*(lambda: gradients_of(prepared(model), x) for _ in range(3)))
    for found in leaves:
        torch.testing.assert_close(found, gradients_of(model, x))


def gradients_of(model, x):
    return torch.autograd.grad(model(model(x)).square().sum(), [*model.parameters()])


def test_threads_share_a_view_in_inference():
    model, xs = network().eval(), torch.randn(3, 2, 2, 6, 9)
    with torch.inference_mode():
        view = prepared(model)

    def serve(x):
        with torch.inference_mode():
            return torch.stack([view(view(x)).clone() for _ in range(5)])

    for x, found in zip(xs, in_threads(*(lambda x=x: serve(x) for x in xs)), strict=True):
        torch.testing.assert_close(found, model(model(x)).detach().expand_as(found))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("made", ["around", "inside"])
def test_checkpointed_regions_have_the_same_gradients(made, reentrant):
    if made == "around" and reentrant:
        pytest.skip("a region of the reentrant kind differentiates nothing from outside twice")
    model, x = network(), fields()

    def region(net, v):
        net = prepared(net)
        return net(net(v))

    results = []
    for repeat in (False, True):
        net = prepared(model) if made == "around" else model
        leaf = v = x.clone().requires_grad_()  # which the reentrant kind needs
        for _ in range(2):
            v = checkpoint(region, net, v, use_reentrant=reentrant) if repeat else region(net, v)
        v.square().sum().backward()
        results.append([v.detach(), leaf.grad, *gradients(model)])
    torch.testing.assert_close(*results)


def test_function_transforms_in_and_around_a_view():
    torch.manual_seed(0)
    transform = perturbed(Monarch(6, dtype=torch.float64))
    xs = torch.randn(3, 6, dtype=torch.complex128)
    parameters = {name: p.detach() for name, p in transform.named_parameters()}

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.transform = transform

        def forward(self, x):
            view = prepared(self.transform)
            return view(view(x)).abs().sum()

    model = Twice()

    def loss(parameters, x):
        named = {f"transform.{name}": p for name, p in parameters.items()}
        return functional_call(model, named, (x[None],))

    singly = []
    for x in xs:
        model(x[None]).backward()
        singly.append(gradients(transform))
    per_sample = vmap(grad(loss), in_dims=(None, 0))(parameters, xs)
    for i, name in enumerate(parameters):
        torch.testing.assert_close(per_sample[name], torch.stack([g[i] for g in singly]))
    view = prepared(transform)
    found = vmap(lambda x: view(x[None]).abs().sum())(xs).sum()
    torch.testing.assert_close(found, transform(xs).abs().sum())


def test_what_has_nothing_to_make_is_returned():
    for module in (Dense(5), Fourier(8), nn.Linear(2, 2), nn.Sequential(Dense(5))):
        assert prepared(module) is module


def test_a_part_compiled_by_itself_stays():
    model = nn.Sequential(torch.compile(Monarch(8), backend="eager"), Monarch(8))
    view = prepared(model)
    assert view[0] is model[0]
    assert view[1] is not model[1]


def test_the_model_can_be_copied_while_a_view_is_in_use(x):
    transform = Monarch(12, dtype=torch.float64)
    view = prepared(transform)
    assert torch.equal(copy.deepcopy(transform)(x), view(x))
