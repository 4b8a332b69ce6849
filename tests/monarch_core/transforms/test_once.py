"""What is computed once in a block is what would be computed anew, in values and gradients."""

import copy
import threading
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

from monarch_core import MonarchSpectralConv
from monarch_core.transforms import Dense, Monarch, computed_once, matrices_computed_once
from pde.models.channels_last import FNO


def perturbed(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return module


@pytest.fixture
def transform():
    torch.manual_seed(0)
    return perturbed(Monarch(12, apply="multiplied", dtype=torch.float64))


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(2, 12, dtype=torch.complex128)


def network():
    torch.manual_seed(0)
    conv = MonarchSpectralConv.configured(grid=(6, 9))
    return FNO((4, 4), 2, 2, 3, n_layers=2, projection_channels=5, conv_module=conv)


def gradients(module):
    found = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    return found


def test_matrices_are_computed_once_and_learn_as_before(transform, x):
    (transform(x).abs().sum() + transform(2 * x).abs().sum()).backward()
    expected = gradients(transform)
    with matrices_computed_once():
        first = transform.matrix()
        with matrices_computed_once():
            assert transform.matrix() is first
        loss = transform(x).abs().sum() + transform(2 * x).abs().sum()
        assert transform.matrix() is first
    loss.backward()
    torch.testing.assert_close(gradients(transform), expected)
    assert transform.matrix() is not transform.matrix()


def test_hooks_around_the_block_change_nothing(transform):
    with saved_tensors_hooks(lambda t: t, lambda t: t), matrices_computed_once():
        assert transform.matrix() is transform.matrix()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_computed_without_gradients_serves_no_gradients(mode, transform):
    with matrices_computed_once():
        with mode():
            transform.matrix()
        transform.matrix().square().sum().backward()
    assert all(p.grad is not None for p in transform.parameters())


def test_what_is_computed_in_one_precision_serves_no_other():
    module = nn.Linear(3, 3)

    def compute():
        return module.weight @ module.weight

    found = []
    with matrices_computed_once():
        for dtype in (torch.bfloat16, torch.float16, None):
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                found.append(computed_once(module, "square", compute).dtype)
    assert found == [torch.bfloat16, torch.float16, torch.float32]


def test_what_has_changed_is_computed_again(transform):
    with matrices_computed_once():
        before = transform.matrix()
        with torch.no_grad():
            transform.L.mul_(2)
        torch.testing.assert_close(transform.matrix(), 2 * before)
        transform.load_state_dict({name: 2 * p for name, p in transform.state_dict().items()})
        torch.testing.assert_close(transform.matrix(), 8 * before)
        transform.L = nn.Parameter(torch.zeros_like(transform.L))
        assert not transform.matrix().any()


def test_other_tensors_in_the_place_of_the_parameters_are_seen(transform, x):
    def call(scale):
        values = {name: scale * p for name, p in transform.named_parameters()}
        return functional_call(transform, values, (x,))

    expected = [call(scale) for scale in (1.0, 3.0, 1.0)]
    with matrices_computed_once():
        found = [call(scale) for scale in (1.0, 3.0, 1.0)]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("way", ["data", "vector", "dtype"])
def test_other_memory_of_the_parameters_is_seen(way, transform):
    with matrices_computed_once(), torch.no_grad():
        before = transform.matrix()
        if way == "data":
            transform.L.data = 2 * transform.L.data
        elif way == "vector":
            vector = nn.utils.parameters_to_vector(transform.parameters())
            nn.utils.vector_to_parameters(2 * vector, transform.parameters())
        else:
            transform.float()
        after = transform.matrix()
    torch.testing.assert_close(after, transform.matrix(), rtol=0, atol=0)
    assert after.dtype != before.dtype or not torch.equal(after, before)


def test_a_parameter_that_is_released_learns(transform):
    transform.requires_grad_(False)
    with matrices_computed_once():
        transform.matrix()
        transform.requires_grad_()
        transform.matrix().square().sum().backward()
    assert all(p.grad is not None for p in transform.parameters())


def test_steps_of_an_optimiser_may_be_taken_inside(transform, x):
    other = copy.deepcopy(transform)
    for module, block in ((transform, matrices_computed_once()), (other, nullcontext())):
        optimiser = torch.optim.SGD(module.parameters(), lr=0.01)
        with block:
            for _ in range(3):
                optimiser.zero_grad()
                module(x).abs().sum().backward()
                optimiser.step()
    torch.testing.assert_close(transform.L, other.L)


def train(model, x, n_steps=5):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(n_steps):
        optimiser.zero_grad()
        with matrices_computed_once():
            y = model(model(x))
        y.square().sum().backward()
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
    x = torch.randn(2, 2, 6, 9)
    expected = train(network(), x)
    models = [network() for _ in range(3)]
    for found in in_threads(*(lambda m=m: train(m, x) for m in models)):
        torch.testing.assert_close(found, expected)


def test_threads_share_a_model_in_inference():
    model, xs = network().eval(), torch.randn(3, 2, 2, 6, 9)

    def serve(x):
        found = []
        for _ in range(5):
            with torch.inference_mode(), matrices_computed_once():
                found.append(model(model(x)).clone())
        return torch.stack(found)

    for x, found in zip(xs, in_threads(*(lambda x=x: serve(x) for x in xs)), strict=True):
        torch.testing.assert_close(found, model(model(x)).detach().expand_as(found))


def test_a_block_is_not_seen_by_another_thread(transform):
    with matrices_computed_once():
        ours = transform.matrix()
        ours.sum().backward()
        # The graph of this thread's matrix is freed; another thread has its own.
        [theirs] = in_threads(lambda: transform.matrix())
        assert theirs is not ours
        theirs.sum().backward()


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("block", ["around", "around both passes", "inside"])
def test_checkpointed_regions_have_the_same_gradients(block, reentrant):
    model, x = network(), torch.randn(2, 2, 6, 9)

    def region(v):
        with matrices_computed_once() if block == "inside" else nullcontext():
            return model(model(v))

    def repeated(v):
        return checkpoint(region, v, use_reentrant=reentrant)

    results = []
    for step in (region, repeated):
        leaf = x.clone().requires_grad_()  # which the reentrant kind needs
        with matrices_computed_once() if block == "around both passes" else nullcontext():
            with matrices_computed_once() if block == "around" else nullcontext():
                y = step(step(leaf))
            y.square().sum().backward()
        results.append([y.detach(), leaf.grad, *gradients(model)])
    torch.testing.assert_close(*results)


def test_a_matrix_made_before_a_checkpointed_region_stays(transform, x):
    expected = transform(x) + transform(transform(x))
    with matrices_computed_once():
        first = transform(x)
        y = first + checkpoint(transform, first, use_reentrant=False)
        kept = transform.matrix()
        assert transform.matrix() is kept
    torch.testing.assert_close(y, expected)
    y.abs().sum().backward()
    found = gradients(transform)
    expected.abs().sum().backward()
    torch.testing.assert_close(found, gradients(transform))


def test_function_transforms_in_and_around_the_block():
    torch.manual_seed(0)
    transform = perturbed(Dense(5, dtype=torch.float64))
    xs = torch.randn(3, 5, dtype=torch.complex128)
    parameters = {name: p.detach() for name, p in transform.named_parameters()}

    def loss(parameters, x):
        with matrices_computed_once():
            y = functional_call(transform, parameters, (x,))
            return functional_call(transform, parameters, (y,)).abs().sum()

    singly = []
    for x in xs:
        transform(transform(x)).abs().sum().backward()
        singly.append(transform.weight.grad)
        transform.zero_grad()
    with matrices_computed_once():
        transform.matrix()
        per_sample = vmap(grad(loss), in_dims=(None, 0))(parameters, xs)
        again = vmap(lambda x: grad(loss)(parameters, x))(xs)
    for found in (per_sample, again):
        torch.testing.assert_close(found["weight"], torch.stack(singly))


def test_what_a_function_transform_has_made_is_not_left_in_the_block(transform, x):
    def loss(x):
        return transform(x).abs().sum()

    expected = grad(loss)(x)
    loss(x).backward()
    learned = gradients(transform)
    with matrices_computed_once():
        found = [grad(loss)(x) for _ in range(2)]
        over_samples = vmap(lambda sample: loss(sample[None]))(x).sum()
        loss(x).backward()
    torch.testing.assert_close(found, [expected, expected])
    torch.testing.assert_close(gradients(transform), learned)
    over_samples.backward()
    torch.testing.assert_close(gradients(transform), learned)
