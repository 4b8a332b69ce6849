"""The rows that the kernel makes of factors are those of the matrix, in values and gradients."""

import pytest
import torch

from monarch_core.layers import monarch_rows as module
from monarch_core.layers.kernel import factors
from monarch_core.layers.kernel.operator import is_on, switched_off
from monarch_core.layers.monarch_rows import formula, monarch_rows
from monarch_core.transforms import Dense, Monarch, prepared

pytestmark = pytest.mark.skipif(not is_on(), reason="no kernel here")
OPTIONS = {
    "long": {"n": 600, "modes": range(9)},
    "signed": {"n": 64, "modes": range(-12, 12)},
    "short": {"n": 7, "modes": range(3)},
    "one": {"n": 1},
    "heads": {"n": 30, "modes": range(-3, 4), "heads": 3, "rank": 2},
    "out_of_order": {"n": 36, "start": "cosine", "modes": range(5)},
    "whole": {"n": 96, "start": "random", "heads": 2},
}


def transforms(name):
    """Return a forward and an inverse transform with factors that are no start."""
    torch.manual_seed(0)
    pair = [Monarch(inverse=inverse, **OPTIONS[name]) for inverse in (False, True)]
    with torch.no_grad():
        for parameter in (p for transform in pair for p in transform.parameters()):
            parameter += 0.3 * torch.randn_like(parameter)
    return pair


def rows_of_matrices(forward, inverse, doubled):
    """Return what `monarch_rows` promises, from what the transforms say that they are."""
    (re, im), (b_re, b_im) = forward.matrix(), inverse.matrix()
    up = torch.stack((b_re.mT, -b_im.mT))
    s = torch.ones(up.shape[2], dtype=up.dtype)
    s[slice(*doubled)] = 2
    return [torch.cat((re, im), dim=1), torch.cat(tuple(s[:, None] * up), dim=1)]


@pytest.mark.parametrize("name", OPTIONS)
def test_values_and_gradients_are_those_of_the_matrix(name):
    pair, doubled = transforms(name), (1, 3)
    ours = monarch_rows(pair, (0, doubled))
    parameters = [p for transform in pair for p in transform.parameters()]
    grads = [torch.randn_like(R) for R in ours]
    found = torch.autograd.grad(ours, parameters, grads)
    exact = [transform.double() for transform in pair]
    expected = rows_of_matrices(*exact, doubled)
    wanted = torch.autograd.grad(
        expected, [p for t in exact for p in t.parameters()], [g.double() for g in grads]
    )
    for mine, theirs in zip((*ours, *found), (*expected, *wanted), strict=True):
        assert (mine - theirs).norm() < 1e-6 * theirs.norm()


def test_the_formula_is_what_the_kernel_computes():
    L, R = (torch.randn(2, 5, 3, 2, 2), torch.randn(2, 8, 4, 2, 2))
    b, k = torch.tensor([0, 2, 2, 1, 0, 1, 2, 0]), torch.tensor([3, 0, 0, 2, 1])
    for conjugate, doubled in ((False, (0, 0)), (True, (1, 4))):
        job = (b, k, conjugate, doubled)
        torch.testing.assert_close(factors.rows(L, R, *job), formula(L, R, job))


def test_gradients_can_be_differentiated():
    pair = transforms("signed")
    [P, *_] = parameters = [p for transform in pair for p in transform.parameters()]
    results = []
    for rows in (monarch_rows(pair, (0, (1, 5))), rows_of_matrices(*pair, (1, 5))):
        loss = sum(R.sin().sum() for R in rows)
        first = torch.autograd.grad(loss, parameters, create_graph=True)
        results.append(torch.autograd.grad(sum(g.square().sum() for g in first), P)[0])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


def test_only_the_gradients_that_are_needed_are_computed(monkeypatch):
    pair = transforms("signed")
    pair[1].requires_grad_(False)
    jobs, gradients = [], factors.gradients

    def counted(grad, *rest):
        jobs.append(rest)
        return gradients(grad, *rest)

    monkeypatch.setattr(module.factors, "gradients", counted)
    down, up = monarch_rows(pair, None)
    (down.sum() + up.sum()).backward()
    assert len(jobs) == 1
    assert pair[0].L.grad is not None
    assert pair[1].L.grad is None


def test_several_threads_give_what_one_gives():
    pair = [Monarch(9000, inverse=inverse, modes=range(17)) for inverse in (False, True)]
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            rows = monarch_rows(pair, None)
            gradients = torch.autograd.grad(
                sum(R.sin().sum() for R in rows), [t.L for t in pair] + [t.R for t in pair]
            )
            results.append([*rows, *gradients])
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*results)


def test_what_the_kernel_cannot_make_is_left_to_the_transforms():
    pair = transforms("signed")
    assert monarch_rows(pair, None) is not None
    assert monarch_rows([*pair[:1], Dense(64, inverse=True)], None) is None
    assert monarch_rows([prepared(t) for t in pair], None) is None
    with switched_off():
        assert monarch_rows(pair, None) is None
    assert monarch_rows([t.double() for t in pair], None) is None
