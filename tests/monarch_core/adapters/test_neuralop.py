"""The drop-in in networks of neuralop; options are bound to what can be saved and sent."""

import copy
import inspect
import io
import pickle
import subprocess
import sys
from functools import partial

import pytest
import torch
from neuralop import LpLoss, Trainer
from neuralop.layers.base_spectral_conv import BaseSpectralConv
from neuralop.layers.spectral_convolution import SpectralConv as NeuralopConv
from neuralop.models import FNO
from torch.utils.data import DataLoader

from monarch_core import Monarch, MonarchSpectralConv
from monarch_core.adapters.neuralop import CONFIGURABLE, conv
from monarch_core.adapters.neuralop.release import (
    convolves_odd_grids,
    counts_both_signs,
    kept_modes,
)
from monarch_core.layers import SpectralConv
from pde.models import channels_last as fno

OPTIONS = {"grid": (16, 12), "transform": partial(Monarch, heads=2), "learn": "inverse"}
BOUND = {
    "configured": MonarchSpectralConv.configured(**OPTIONS),
    "partial": partial(MonarchSpectralConv, **OPTIONS),
}
SIZES = {"n_modes": (6, 6), "in_channels": 1, "out_channels": 1, "hidden_channels": 4}


def takes_classes_only():
    """Whether neuralop asks if its conv_module is a subclass, as it does after 2.0."""
    try:
        FNO(**SIZES, n_layers=1, conv_module=partial(NeuralopConv))
    except TypeError:
        return True
    return False


# Ways to bind options that the networks of the installed neuralop take.
IN_NETWORKS = [name for name in BOUND if name == "configured" or not takes_classes_only()]


def networks(conv_module):
    torch.manual_seed(0)
    if isinstance(conv_module, type) or "partial" in IN_NETWORKS:
        yield FNO(**SIZES, n_layers=1, conv_module=conv_module)
    yield fno.FNO(*SIZES.values(), n_layers=1, conv_module=conv_module)
    yield conv_module(4, 4, (6, 6))


def fields(model):
    return torch.randn(2, 4 if isinstance(model, MonarchSpectralConv) else 1, 16, 12)


def saved_and_loaded(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


WAYS = {
    "torch": saved_and_loaded,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "pickle in python": lambda model: pickle._loads(pickle._dumps(model)),
    "oldest protocol": lambda model: pickle.loads(pickle.dumps(model, protocol=2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bound", BOUND)
def test_a_model_is_copied_whole(bound, way):
    for model in networks(BOUND[bound]):
        x = fields(model)
        copied = WAYS[way](model)
        torch.testing.assert_close(copied(x), model(x), rtol=0, atol=0)
        convs = [m for m in copied.modules() if isinstance(m, MonarchSpectralConv)]
        assert [conv.grid for conv in convs] == [(16, 12)]
        learned = {name: p.requires_grad for name, p in model.named_parameters()}
        assert {name: p.requires_grad for name, p in copied.named_parameters()} == learned


def test_a_model_is_loaded_in_another_process(tmp_path):
    for bound in BOUND:
        for number, model in enumerate(networks(BOUND[bound])):
            x = fields(model)
            torch.save({"model": model, "x": x, "y": model(x)}, tmp_path / f"{bound}{number}.pt")
    code = (
        "import sys, torch\n"
        "for path in sys.argv[1:]:\n"
        "    saved = torch.load(path, weights_only=False)\n"
        "    torch.testing.assert_close(saved['model'](saved['x']), saved['y'])\n"
    )
    files = sorted(map(str, tmp_path.iterdir()))
    assert len(files) == 2 * len(BOUND) + len(IN_NETWORKS)
    run = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("bound", IN_NETWORKS)
def test_neuralop_saves_its_state_and_makes_the_model_again(bound, tmp_path):
    model = next(networks(BOUND[bound]))
    model.save_checkpoint(tmp_path, "fno")
    made = FNO.from_checkpoint(tmp_path, "fno")
    x = fields(model)
    torch.testing.assert_close(made(x), model(x))


@pytest.mark.parametrize("bound", BOUND)
def test_states_without_classes_are_loaded_as_weights_only(bound, tmp_path):
    for model in list(networks(BOUND[bound]))[-2:]:
        torch.save(model.state_dict(), tmp_path / "weights.pt")
        state = torch.load(tmp_path / "weights.pt", weights_only=True)
        model.load_state_dict(state)


@pytest.mark.parametrize("bound", IN_NETWORKS)
@pytest.mark.filterwarnings("ignore")  # neuralop's own
def test_neuralops_trainer_trains_and_saves(bound, tmp_path):
    model = next(networks(BOUND[bound]))
    before = copy.deepcopy(model)
    samples = [{"x": torch.randn(1, 16, 12), "y": torch.randn(1, 16, 12)} for _ in range(4)]
    loader = DataLoader(samples, batch_size=2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    trainer = Trainer(model=model, n_epochs=1, device="cpu", verbose=False)
    trainer.train(
        train_loader=loader,
        test_loaders={"valid": loader},
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.StepLR(optimizer, 1),
        training_loss=LpLoss(d=2),
        eval_losses={"l2": LpLoss(d=2)},
        save_every=1,
        save_dir=tmp_path,
    )
    x = fields(model)
    assert (model(x) - before(x)).norm() > 0
    before.load_checkpoint(tmp_path, "model")
    torch.testing.assert_close(before(x), model(x))


@pytest.mark.parametrize("option", ["grids", "n_modes", "in_channels", "self", "max_n_modes"])
def test_what_is_no_option_is_refused_where_it_is_bound(option):
    with pytest.raises(
        ValueError, match=f"no option '{option}' to configure; its options are .*grid"
    ):
        MonarchSpectralConv.configured(**{option: 3})


def test_options_that_are_bound_are_those_that_no_network_gives():
    given = {}

    class Recording(MonarchSpectralConv):
        def __init__(self, *args, **kwargs):
            given.update(kwargs)
            super().__init__(*args, **kwargs)

    FNO(**SIZES, n_layers=1, conv_module=Recording)
    assert given.keys() & set(CONFIGURABLE) == set()
    own = inspect.signature(MonarchSpectralConv).parameters.keys() - given.keys()
    of_later_versions = {"enforce_hermitian_symmetry", "index_set", "spectral_transform"}
    positional = {"in_channels", "out_channels", "n_modes"}
    assert own - set(CONFIGURABLE) - of_later_versions == positional


def test_it_is_a_layer_of_ours_and_of_neuralop():
    layer = BOUND["configured"](4, 4, (6, 6))
    assert isinstance(layer, BaseSpectralConv)
    assert isinstance(layer, SpectralConv)
    assert [t.heads for t in layer.forward_transforms] == [2, 2]


@pytest.mark.parametrize(
    ("channels", "modes"), [((3, 4), (4, 6)), ((5, 5), (8,)), ((2, 7), (3, 4, 5))]
)
def test_initial_numbers_of_a_seed_are_those_of_neuralop(channels, modes):
    torch.manual_seed(0)
    host, after = NeuralopConv(*channels, modes), torch.rand(3)
    for make in (MonarchSpectralConv, SpectralConv):
        torch.manual_seed(0)
        layer = make(*channels, modes)
        assert torch.equal(torch.rand(3), after)
        W = host.weight.to_tensor().movedim((0, 1), (-2, -1))
        assert torch.equal(layer.mode_weight, torch.stack((W.real, W.imag)))
        assert torch.equal(layer.bias, host.bias)


def hermitian_layer(x, W, bias):
    """neuralop's layer after 2.0, with all frequencies kept, and what it drops."""
    *others, n = x.shape[2:]
    axes = tuple(range(2, x.ndim))
    Y = torch.fft.rfftn(x, dim=axes, norm="forward")
    Y = torch.einsum("bc...,co...->bo...", Y, torch.fft.ifftshift(W, axes[:-1]) if others else W)
    if others:
        Y = torch.fft.ifftn(Y, s=others, dim=axes[:-1], norm="forward")
    real_only = [0] if n % 2 else [0, n // 2]
    dropped = Y[..., real_only].imag.clone()
    Y[..., real_only] = Y[..., real_only].real.to(Y.dtype)
    return torch.fft.irfft(Y, n=n, norm="forward") + bias, dropped


@pytest.mark.parametrize("enforce", [True, False])
@pytest.mark.parametrize("grid", [(8,), (7,), (6, 10), (5, 8), (9, 7), (3, 4, 6)])
def test_with_and_without_hermitian_symmetry_it_is_neuralops_layer_with(grid, enforce):
    torch.manual_seed(0)
    layer = MonarchSpectralConv(2, 3, grid, grid=grid, enforce_hermitian_symmetry=enforce)
    x = torch.randn(4, 2, *grid)
    expected, dropped = hermitian_layer(x, layer.weight, layer.bias)
    assert dropped.norm() > 0.1
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_names_in_the_state_dict_are_those_that_runs_were_saved_with():
    layer = MonarchSpectralConv(2, 3, (4, 4))
    assert list(layer.state_dict()) == [
        "mode_weight",
        "bias",
        *(
            f"{way}_transforms.{d}.{f}"
            for way in ("forward", "inverse")
            for d in (0, 1)
            for f in "LR"
        ),
    ]


@pytest.mark.parametrize("factor", [(2.0, 2.0), [2.0], 0, [1.0, float("inf")]])
def test_factors_that_are_not_one_number_per_axis_are_refused(factor):
    with pytest.raises(ValueError, match="resolution_scaling_factor must be"):
        MonarchSpectralConv(2, 2, (4, 4), resolution_scaling_factor=factor)


class BlocksOfLaterVersions:
    """What neuralop's blocks of June 2026 do with their `conv_module`."""

    def __init__(self, conv_module, **of_theirs):
        more = of_theirs if issubclass(conv_module, NeuralopConv) else {}
        self.conv = conv_module(
            2,
            3,
            [6, 8],
            resolution_scaling_factor=None,
            max_n_modes=[10, 12],
            rank=1.0,
            fixed_rank_modes=False,
            implementation="factorized",
            separable=False,
            factorization=None,
            fno_block_precision="full",
            decomposition_kwargs={},
            complex_data=False,
            **more,
        )


OF_THEIRS = {"index_set": None, "spectral_transform": None, "enforce_hermitian_symmetry": True}


@pytest.mark.parametrize(("both_signs", "stored"), [(True, [10, 7]), (False, [10, 12])])
def test_the_most_modes_are_counted_as_neuralop_counts_them(monkeypatch, both_signs, stored):
    monkeypatch.setattr(conv, "counts_both_signs", lambda: both_signs)
    made = MonarchSpectralConv.configured(grid=(16, 24))
    layer = BlocksOfLaterVersions(made, **OF_THEIRS).conv
    assert layer.max_n_modes == stored
    assert layer.n_modes == [6, 5]
    assert layer.weight.shape == (2, 3, *stored)
    if counts_both_signs() == both_signs:
        theirs = BlocksOfLaterVersions(NeuralopConv).conv
        assert theirs.weight.shape == layer.weight.shape


def test_the_layer_of_the_installed_neuralop_is_measured():
    layer = NeuralopConv(1, 1, (4,), max_n_modes=[6])
    assert counts_both_signs() == (layer.max_n_modes == [4])
    with torch.random.fork_rng():
        odd = NeuralopConv(1, 1, (5, 4), bias=False)
    drop_in = MonarchSpectralConv(1, 1, (5, 4), grid=(7, 8), bias=False)
    drop_in.copy_weight(odd.weight.to_tensor())
    x = torch.randn(1, 1, 7, 8)
    assert convolves_odd_grids() == torch.allclose(odd(x), drop_in(x), atol=1e-5)


class Box:
    """The index set that a layer of neuralop after 2.0 has by default, of (8, 12) frequencies."""

    weights = (1.0, 1.5)

    def radius_from_n_modes(self, n_modes):
        return n_modes[0] / 2

    def n_modes_per_dim_for_radius(self, radius, weights):
        return tuple(round(2 * radius * weight) for weight in weights)


@pytest.mark.parametrize(("asked", "kept"), [((8, 12), [8, 7]), ((4, 12), [4, 4])])
def test_after_2_0_the_first_entry_of_n_modes_decides_what_a_layer_keeps(asked, kept):
    layer = NeuralopConv(1, 1, (8, 12))
    layer.n_modes = asked
    if not counts_both_signs():
        assert kept_modes(layer) == [asked[0], 7]
    layer.index_set, layer.true_n_modes = Box(), list(asked)
    assert kept_modes(layer) == kept


@pytest.mark.parametrize("way", WAYS)
def test_a_class_with_options_bound_is_a_class_and_is_copied(way):
    made = BOUND["configured"]
    assert issubclass(made, BaseSpectralConv)
    assert issubclass(made.configured(bias=False), MonarchSpectralConv)
    assert made.configured(bias=False).bound_options == {**OPTIONS, "bias": False}
    again = WAYS[way](made)
    assert again.bound_options.keys() == OPTIONS.keys()
    torch.manual_seed(0)
    layer = again(4, 4, (6, 6))
    assert type(layer) is MonarchSpectralConv
    assert (layer.grid, layer.bias is not None) == ((16, 12), True)
    assert WAYS[way](MonarchSpectralConv) is MonarchSpectralConv


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("factorization", ["tucker", "cp", "tt"])
def test_a_factorised_layer_is_neuralops_with_values_and_gradients(factorization, separable):
    options = {"factorization": factorization, "rank": 0.4, "separable": separable}
    layers = []
    for make in (MonarchSpectralConv.configured(grid=(12, 10)), NeuralopConv):
        torch.manual_seed(0)
        layers.append(make(4, 4, (8, 6), **options))
    x = torch.randn(3, 4, 12, 10)
    ours, theirs = (layer(x) for layer in layers)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    (ours.square().sum() + theirs.square().sum()).backward()
    weights = layers[0].mode_weight.parameters(), layers[1].weight.parameters()
    for mine, other in zip(*weights, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4)


def test_a_separable_layer_has_as_many_channels_in_as_out():
    with pytest.raises(ValueError, match="as many channels in as out, got 2 and 3; make them"):
        MonarchSpectralConv(2, 3, (4,), separable=True)


def test_a_factorised_layer_changes_its_precision_as_a_whole():
    layer = MonarchSpectralConv(3, 3, (4, 4), grid=(9, 8), factorization="tucker", rank=0.5)
    x = torch.randn(2, 3, 9, 8)
    y = layer(x)
    assert all(p.dtype in (torch.float64, torch.complex128) for p in layer.double().parameters())
    torch.testing.assert_close(layer(x.double()).float(), y, rtol=1e-5, atol=1e-5)
