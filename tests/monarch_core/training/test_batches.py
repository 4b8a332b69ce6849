"""The order of the data is a function of seed and epoch, whatever shares the work."""

import pytest
import torch

from monarch_core.training.batches import EpochBatches, make_loader, mix_seed, start_epoch


def orders(epochs, **values):
    batches = EpochBatches(11, 4, **values)
    found = []
    for epoch in epochs:
        batches.epoch = epoch
        found.append(list(batches))
    return found


def test_order_depends_on_seed_and_epoch_only():
    forwards = orders([1, 2, 3], seed=7)
    torch.manual_seed(99)
    assert orders([3, 2, 1], seed=7) == forwards[::-1]
    assert forwards[0] != forwards[1] != forwards[2]
    assert orders([1], seed=8)[0] != forwards[0]
    assert sorted(i for batch in forwards[0] for i in batch) == list(range(11))


def test_without_a_seed_the_dataset_is_read_in_order():
    assert orders([5], seed=None) == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]]


@pytest.mark.parametrize("n_processes", [2, 3, 4])
def test_processes_share_every_batch(n_processes):
    whole = list(EpochBatches(9, 4, seed=0))
    parts = [
        EpochBatches(9, 4, seed=0, rank=rank, n_processes=n_processes)
        for rank in range(n_processes)
    ]
    assert {len(list(part)) for part in parts} == {len(part) for part in parts} == {3}
    for i, batch in enumerate(whole):
        computed = []
        for part in parts:
            n_own, n_all = list(part.shares())[i]
            assert n_all == len(batch)
            own = list(part)[i]
            assert own  # also where nothing counts, so that no process waits for another
            computed += own[:n_own]
        assert sorted(computed) == sorted(batch)


def test_neighbouring_seeds_are_unrelated():
    seeds = [mix_seed(seed, epoch) for seed in range(5) for epoch in range(5)]
    assert len(set(seeds)) == 25
    assert mix_seed(1, 2) != mix_seed(2, 1)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_of_workers_depend_on_the_epoch_alone(tiny_data):
    loader = make_loader(
        tiny_data(noise=1.0), EpochBatches(11, 11, seed=2), n_workers=1, pin_memory=False
    )

    def torch_noise(epoch):
        torch.manual_seed(epoch)  # what happens in this process does not matter
        start_epoch(loader, epoch)
        ((x, _), _) = next(iter(loader))
        return x

    first, second, again = torch_noise(1), torch_noise(2), torch_noise(1)
    assert torch.equal(first, again)
    assert not torch.equal(first.sort(0).values, second.sort(0).values)
