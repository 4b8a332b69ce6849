"""One model takes the tensors of another, all of them or none."""

import copy

import pytest
import torch
from torch import nn

from monarch_core import Monarch
from monarch_core.training.transfer import pair_tensors, take_over


def network(width=3):
    model = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, 2))
    model.register_buffer("made", torch.zeros(1), persistent=False)
    return model


def no_rule(*_):
    return False


def test_parameters_and_buffers_are_taken_and_the_source_stays():
    new, old = network(), network()
    old(torch.randn(8, 2))  # moves the statistics of the norm
    old.made += 1
    before = copy.deepcopy(old.state_dict())
    transfer = take_over(new, old, no_rule, "a.pt")
    torch.testing.assert_close(new.state_dict(), before)
    torch.testing.assert_close(old.state_dict(), before)
    assert new.made == 0
    assert len(transfer.tensors) == len(before)
    new[0].weight.data += 1
    assert not torch.equal(new[0].weight, old[0].weight)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            network(4),
            r"a\.pt holds weights of another network: 0\.weight is \(3, 2\) here and \(4, 2",
        ),
        (network()[:2], "2 is not there"),
        (nn.Sequential(*network(), nn.Linear(2, 2)), "3 is not here"),
        (nn.Sequential(network()[0], nn.Identity(), network()[2]), "1 is a BatchNorm1d here and a"),
        (nn.Sequential(nn.Linear(2, 3, bias=False), *network()[1:]), r"0\.bias is not there"),
    ],
)
def test_another_network_changes_nothing(other, message):
    new = network()
    before = copy.deepcopy(new.state_dict())
    with pytest.raises(ValueError, match=message):
        take_over(new, other, no_rule, "a.pt")
    torch.testing.assert_close(new.state_dict(), before)


def test_a_rule_says_what_one_layer_takes():
    new, old = network(), network()
    first = copy.deepcopy(new[0].weight)

    def rule(name, mine, other, transfer):
        if name == "0":
            transfer.left.append("0, for a reason")
        elif name == "2":
            pair_tensors(name, mine, other, transfer)
        return name in ("0", "2")

    transfer = take_over(new, old, rule, "a.pt")
    assert transfer.left == ["0, for a reason"]
    assert torch.equal(new[0].weight, first)
    assert torch.equal(new[2].weight, old[2].weight)


def test_transforms_that_order_their_samples_otherwise_are_not_the_same():
    """Factors of one shape are another matrix behind another permutation."""
    new, old = (nn.Sequential(make(12, rank=2)) for make in (Monarch.sine, Monarch.cosine))

    def whole(name, new, old, transfer):
        if name:
            pair_tensors(name, new, old, transfer)
        return bool(name)

    with pytest.raises(ValueError, match=r"0\..* is another order there"):
        take_over(new, old, whole, "a.pt")
    assert take_over(new, nn.Sequential(Monarch.sine(12, rank=2)), whole, "a.pt").tensors
