"""What an epoch of training sees: symmetric copies, and the truth while steps are forced."""

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv

from monarch_core.training.checkpoint import load_weights
from monarch_core.training.config import FitConfig
from monarch_core.training.fit import fit
from pde.config.dataset import DarcyConfig, NavierStokesConfig
from pde.dataset.samples import Splits, TrajectoryDataset
from pde.dataset.splits import training_set
from pde.dataset.symmetries import random_symmetry
from pde.metrics.errors import relative_l2, roll_out_loss
from pde.models import RollOut
from pde.models.channels_last import FNO

FRAMES = torch.randn(3, 5, 8, 8, generator=torch.Generator().manual_seed(0))


def splits(frames=FRAMES):
    data = TrajectoryDataset(frames, 2)
    return Splits(data, data, data, tuple(frames.shape[2:]), {}, (), "")


def config(**values):
    return NavierStokesConfig(n_input_frames=2, n_output_frames=3, **values)


def items(data, epoch):
    data.set_epoch(epoch)
    return [(torch.cat((inputs[0], future)), len(inputs)) for inputs, future in data]


def test_copies_follow_from_item_and_epoch_and_leave_the_split_as_it_is():
    data = training_set(splits(), config(), augment=True, n_forced_epochs=0)
    first, second, again = (items(data, epoch) for epoch in (0, 1, 0))
    for a, b, c, frames in zip(first, second, again, FRAMES, strict=True):
        assert torch.equal(a[0], c[0])
        assert not torch.equal(a[0], b[0])
        assert not torch.equal(a[0], frames)
        torch.testing.assert_close(a[0].abs().sort().values.sum(), frames.abs().sum())
    assert torch.equal(data.past, FRAMES[:, :2])
    other = training_set(splits(), config(), augment=True, n_forced_epochs=0, seed=1)
    assert not torch.equal(items(other, 0)[0][0], first[0][0])


def test_the_first_epochs_hand_over_the_truth():
    data = training_set(splits(), config(), augment=False, n_forced_epochs=2)
    for epoch, n_inputs in ((0, 2), (1, 2), (2, 1)):
        for (frames, found), expected in zip(items(data, epoch), FRAMES, strict=True):
            assert found == n_inputs
            assert torch.equal(frames, expected)
    data.set_epoch(0)
    (_, truth), future = data[1]
    assert torch.equal(truth, future)


def test_what_cannot_be_done_is_refused_before_training():
    with pytest.raises(ValueError, match="darcy has no symmetries"):
        training_set(splits(), DarcyConfig(), augment=True, n_forced_epochs=0)
    with pytest.raises(ValueError, match="multiple of 8"):
        training_set(splits(torch.randn(3, 5, 12, 12)), config(), augment=True, n_forced_epochs=0)


@pytest.mark.parametrize(
    ("augment", "data", "expected"),
    [
        (None, config(), random_symmetry),
        (None, config(path="own.mat"), None),
        (None, DarcyConfig(), None),
        (True, config(path="own.mat"), random_symmetry),
        (False, config(), None),
    ],
)
def test_generated_data_are_augmented_unless_told_otherwise(augment, data, expected):
    assert training_set(splits(), data, augment=augment, n_forced_epochs=0).symmetry is expected


def trained(folder, stop_in_call=None):
    """Train two forced epochs and a free one, of two steps each, and return the weights."""
    torch.manual_seed(0)
    model = RollOut(FNO((4, 4), 2, 1, 3, 1, projection_channels=4, conv_module=SpectralConv), 3)
    data = training_set(splits(), config(), augment=True, n_forced_epochs=2)
    calls = []

    def loss(prediction, target):
        calls.append(1)
        if len(calls) == stop_in_call:
            raise KeyboardInterrupt
        return roll_out_loss(prediction, target)

    values = FitConfig(epochs=3, batch_size=2, optimizer="soap", accelerator="cpu", n_threads=1)
    fit(model, loss, data, splits().valid, values, folder, metric=relative_l2)
    load_weights(folder / "weights.pt", model)
    return model.state_dict()


@pytest.mark.parametrize("stop_in_call", [3, 6])  # in the second forced epoch, in the free one
def test_forced_and_free_epochs_go_on_after_an_interruption(tmp_path, stop_in_call):
    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "resumed", stop_in_call)
    resumed = trained(tmp_path / "resumed")
    for name, weight in whole.items():
        assert torch.equal(resumed[name], weight), name
