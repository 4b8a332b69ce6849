"""The roll-out, its normalization, and the swap of the transform inside it."""

import copy

import pde_configs
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from monarch_core.transforms import LinearTransform
from pde.models import RollOut, build_model, check_model

SMALL = ["model.n_modes=4", "model.hidden_channels=6", "model.n_layers=2", "dataset.grid=16"]


def model_of(*overrides, grid=(16, 16), seed=0):
    config = pde_configs.config_of(*SMALL, *overrides)
    torch.manual_seed(seed)
    return build_model(config, grid)


@pytest.mark.parametrize("transform", ["monarch", "monarch_frozen", "dense"])
def test_every_transform_starts_at_the_fft(transform):
    frames = torch.randn(2, 4, 16, 16)
    expected = model_of("transform=fft")(frames)
    torch.testing.assert_close(
        model_of(f"transform={transform}")(frames), expected, rtol=1e-5, atol=1e-5
    )


def test_the_fft_control_is_neuralops_own_layer_and_holds_no_transform():
    modules = list(model_of("transform=fft").modules())
    names = {type(module).__module__ for module in modules}
    assert "neuralop.layers.spectral_convolution" in names
    assert not any(isinstance(module, LinearTransform) for module in modules)


def test_which_parameters_learn():
    def counts(transform):
        model = model_of(f"transform={transform}")
        return sum(
            p.numel() * (2 if p.is_complex() else 1) for p in model.parameters() if p.requires_grad
        )

    assert counts("monarch_frozen") == counts("fft")
    # Per layer: forward and inverse on two axes; 16 = 4 x 4 points, 8 and 4 modes, real and imag.
    per_layer = 2 * sum(2 * (16 * 4 + modes * 4) for modes in (8, 4))
    assert counts("monarch") - counts("fft") == 2 * per_layer
    assert counts("dense") - counts("fft") == 2 * 2 * sum(2 * 16 * modes for modes in (8, 4))


class Shift(torch.nn.Module):
    """A step that is easy to roll out by hand: the newest frame plus half the oldest."""

    def forward(self, window):
        return window[:, -1:] + 0.5 * window[:, :1]


def test_the_roll_out_feeds_predictions_back():
    frames = torch.randn(2, 3, 4, 4)
    by_hand = list(frames.unbind(1))
    for _ in range(5):
        by_hand.append(by_hand[-1] + 0.5 * by_hand[-3])
    expected = torch.stack(by_hand[3:], dim=1)
    model = RollOut(Shift(), n_steps=5)
    torch.testing.assert_close(model(frames), expected)
    torch.testing.assert_close(model(frames, n_steps=2), expected[:, :2])


def test_forced_steps_start_from_the_truth():
    model = RollOut(Shift(), n_steps=4)
    model.mean.fill_(0.3)
    model.std.fill_(2.0)
    model.output_mean.fill_(0.3)
    model.output_std.fill_(2.0)
    frames = torch.randn(2, 3, 4, 4)
    own = model(frames)
    torch.testing.assert_close(model(frames, own), own)  # its own roll-out is a fixed point
    truth = torch.randn(2, 4, 4, 4)
    by_hand = [model(torch.cat((frames, truth[:, :i]), dim=1)[:, i:], n_steps=1) for i in range(4)]
    torch.testing.assert_close(model(frames, truth), torch.cat(by_hand, dim=1))
    with pytest.raises(ValueError, match="give truth or n_steps, not both"):
        model(frames, truth, n_steps=2)


class Two(torch.nn.Module):
    """A step of two frames."""

    def forward(self, window):
        return torch.stack((window[:, -1] + 1, window[:, 0] + 2), dim=1)


def test_a_step_of_several_frames_is_fed_back_as_a_whole():
    frames = torch.randn(2, 3, 6)
    a, b = frames[:, 2], frames[:, 0]
    expected = torch.stack((a + 1, b + 2, b + 3, a + 2, a + 3), dim=1)
    model = RollOut(Two(), n_steps=5)
    torch.testing.assert_close(model(frames), expected)
    torch.testing.assert_close(model(frames, expected), expected)  # forced by itself


class Samples(torch.utils.data.Dataset):
    def __init__(self, data, n_input_frames):
        self.data, self.n = data, n_input_frames

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        return (self.data[i, : self.n],), self.data[i, self.n :]


def test_inputs_and_outputs_may_be_two_quantities():
    torch.manual_seed(0)
    data = torch.stack((7.5 + 4.5 * torch.randn(8, 9), 1e-3 * torch.randn(8, 9)), dim=1)
    model = RollOut(Shift(), n_steps=1, normalization="role")
    model.normalize_to(Samples(data, 1))
    torch.testing.assert_close(model.mean, data[:, 0].mean())
    torch.testing.assert_close(model.std, data[:, 0].std(correction=0))
    torch.testing.assert_close(model.output_std, data[:, 1].std(correction=0))
    unit = (data[:, :1] - model.mean) / model.std
    expected = 1.5 * unit * model.output_std + model.output_mean
    torch.testing.assert_close(model(data[:, :1]), expected)


def test_without_normalization_frames_stay_as_they_are():
    data = 5 + torch.randn(4, 2, 9)
    model = RollOut(Shift(), n_steps=1, normalization="none")
    model.normalize_to(Samples(data, 1))
    torch.testing.assert_close(model(data[:, :1]), 1.5 * data[:, :1])


def test_the_normalization_is_that_of_the_training_frames_and_is_undone():
    torch.manual_seed(0)
    data = 3.0 + 2.0 * torch.randn(6, 5, 4, 4)
    model = RollOut(Shift(), n_steps=1)
    model.normalize_to(Samples(data, 3))
    torch.testing.assert_close(model.mean, data.mean())
    torch.testing.assert_close(model.std, data.std(correction=0))
    unit = (data[:, :3] - model.mean) / model.std
    expected = (unit[:, -1:] + 0.5 * unit[:, :1]) * model.std + model.mean
    torch.testing.assert_close(model(data[:, :3]), expected)
    assert "mean" in model.state_dict()


def test_constant_training_data_are_refused():
    with pytest.raises(ValueError, match="same value 1"):
        RollOut(Shift(), n_steps=1).normalize_to(Samples(torch.ones(1, 5, 4, 4), 3))


def test_gradients_flow_through_the_whole_roll_out():
    model = model_of("transform=monarch", "dataset.n_output_frames=3")
    frames = torch.randn(2, 4, 16, 16)
    model(frames)[:, -1].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_computing_the_matrices_once_changes_no_gradient():
    model = model_of("transform=monarch")
    other = copy.deepcopy(model)
    frames = torch.randn(2, 4, 16, 16)
    model(frames, n_steps=2).square().sum().backward()
    window = frames
    first = other.step(window)
    second = other.step(torch.cat((window[:, 1:], first), 1))
    torch.cat((first, second), 1).square().sum().backward()
    for ours, reference in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, reference.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.n_modes=9"], "a grid of 16x16 points holds k < 8 modes per axis, got .*=9"),
        (["model.n_modes=0"], "model.n_modes must be from 1 to 1000000, got 0"),
        (["model.n_layers=0"], "model.n_layers must be from 1 to 1024, got 0"),
        (["transform.block_sizes=[3,5]"], "block_sizes must multiply to n, got n=16"),
    ],
)
def test_errors(overrides, message):
    with pytest.raises(Exception, match=message):
        model_of(*overrides)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="must be one of field, role, none, got 'batch'"):
        RollOut(Shift(), n_steps=1, normalization="batch")


def saved_bytes(model, *frames):
    """Return the bytes that wait for the backward pass, each storage once, and the gradients."""
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(*frames).square().sum()
        held = sum(sizes.values())
    loss.backward()
    return held, [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("model", ["fno", "fno_fast"])
@pytest.mark.parametrize("transform", ["fft", "monarch"])
def test_checkpointed_steps_have_the_same_gradients_in_less_memory(model, transform):
    overrides = [f"model={model}", f"transform={transform}", "dataset.n_output_frames=4"]
    frames = torch.randn(2, 4, 16, 16)
    held, expected = saved_bytes(model_of(*overrides), frames)
    less, gradients = saved_bytes(model_of(*overrides, "model.checkpoint_steps=true"), frames)
    assert less + 4 * frames.nbytes < held / 3  # the inputs of the four steps are kept
    for gradient, reference in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-5)


def test_forced_steps_are_checkpointed_too():
    overrides = ["model=fno", "transform=monarch", "dataset.n_output_frames=4"]
    frames, truth = torch.randn(2, 4, 4, 16, 16)
    held, expected = saved_bytes(model_of(*overrides), frames, truth)
    less, gradients = saved_bytes(
        model_of(*overrides, "model.checkpoint_steps=true"), frames, truth
    )
    assert less < held / 3
    for gradient, reference in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["fno", "fno_fast"])
def test_a_step_that_its_user_checkpoints_has_the_same_gradients(model):
    rolled = model_of(f"model={model}", "transform=monarch", "dataset.n_output_frames=3")
    frames = torch.randn(2, 4, 16, 16)
    _, expected = saved_bytes(rolled, frames)
    rolled.zero_grad()
    rolled.step = Checkpointed(rolled.step)
    rolled(frames).square().sum().backward()
    for parameter, reference in zip(rolled.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, reference, rtol=1e-4, atol=1e-5)


class Checkpointed(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return checkpoint(self.module, x, use_reentrant=False)


def test_networks_with_batch_norm_have_no_checkpointing():  # it would count every batch twice
    with pytest.raises(Exception, match=r"Could not override 'model\.checkpoint_steps'"):
        pde_configs.config_of("model=pde_unet", "model.checkpoint_steps=true")


@pytest.mark.parametrize(
    "overrides",
    [
        ["dataset.grid=15", "transform=fft", "augment=false"],
        ["dataset.grid=16", "transform=fft", "evaluation.grids=[15]"],
    ],
)
def test_the_control_is_refused_on_odd_grids_where_neuralops_layer_is_wrong(overrides):
    with pytest.raises(ValueError, match="wrong on an odd number of points"):
        check_model(pde_configs.config_of(*SMALL[:3], *overrides))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.grid=20"], "multiple of 8"),
        (["model.n_modes=9"], "holds k < 8 modes"),
        (
            ["transform=monarch_identity", "evaluation.grids=[8]"],
            r"transform=monarch_identity works on the grid it is made for alone.*grids=\[8\]",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_data_are_made(overrides, message):
    with pytest.raises(ValueError, match=message):
        check_model(pde_configs.config_of(*SMALL, *overrides))
    with pytest.raises(ValueError, match="has no Fourier transform"):
        check_model(pde_configs.config_of("model=resnet", "dataset.grid=16"))


def test_checking_a_model_draws_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    check_model(pde_configs.config_of(*SMALL))
    assert torch.rand(1) == expected
