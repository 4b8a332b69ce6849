"""Options are bound to a class that can be saved and sent, whatever holds it."""

import copy
import io
import pickle
import subprocess
import sys
from functools import partial

import pytest
import torch
from neuralop import LpLoss, Trainer
from neuralop.models import FNO
from torch.utils.data import DataLoader

from monarch_core import Monarch, MonarchSpectralConv
from pde.models import channels_last as fno

OPTIONS = {"grid": (16, 12), "transform": partial(Monarch, heads=2), "learn": "inverse"}
BOUND = {
    "configured": MonarchSpectralConv.configured(**OPTIONS),
    "configured twice": MonarchSpectralConv.configured(grid=(16, 12)).configured(
        transform=partial(Monarch, heads=2), learn="inverse"
    ),
    "partial": partial(MonarchSpectralConv, **OPTIONS),
}
SIZES = {"n_modes": (6, 6), "in_channels": 1, "out_channels": 1, "hidden_channels": 4}


class Named(MonarchSpectralConv.configured(grid=(16, 12))):
    """A class of the user's own, which a module holds under its name."""


BOUND["derived"] = Named


def networks(conv_module):
    torch.manual_seed(0)
    yield FNO(**SIZES, n_layers=1, conv_module=conv_module)
    if isinstance(conv_module, type):
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
        assert torch.compiler.is_compiling() or WAYS[way](type(convs[0])) is not None


@pytest.mark.parametrize("bound", ["configured", "partial"])
def test_a_model_is_loaded_in_another_process(bound, tmp_path):
    for number, model in enumerate(networks(BOUND[bound])):
        x = fields(model)
        torch.save({"model": model, "x": x, "y": model(x)}, tmp_path / f"{number}.pt")
    code = (
        "import sys, torch\n"
        "for path in sys.argv[1:]:\n"
        "    saved = torch.load(path, weights_only=False)\n"
        "    torch.testing.assert_close(saved['model'](saved['x']), saved['y'])\n"
    )
    files = sorted(map(str, tmp_path.iterdir()))
    assert len(files) == (2 if bound == "partial" else 3)
    run = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("bound", BOUND)
def test_neuralop_saves_its_state_and_makes_the_model_again(bound, tmp_path):
    if bound == "derived":
        pytest.skip("a class of this file has no module that another program could import")
    model = next(networks(BOUND[bound]))
    model.save_checkpoint(tmp_path, "fno")
    made = FNO.from_checkpoint(tmp_path, "fno")
    x = fields(model)
    torch.testing.assert_close(made(x), model(x))


@pytest.mark.parametrize("bound", ["configured", "partial"])
def test_states_without_classes_are_loaded_as_weights_only(bound, tmp_path):
    _, *models = networks(BOUND[bound])
    for model in models:
        torch.save(model.state_dict(), tmp_path / "weights.pt")
        state = torch.load(tmp_path / "weights.pt", weights_only=True)
        model.load_state_dict(state)


@pytest.mark.parametrize("bound", ["configured", "partial"])
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


def test_options_of_the_network_and_bound_ones_must_agree():
    bound = MonarchSpectralConv.configured(max_n_modes=(8, 5))
    assert bound(2, 2, (4, 4)).max_n_modes == [8, 5]
    assert bound(2, 2, (4, 4), max_n_modes=(8, 5)).max_n_modes == [8, 5]
    assert bound(2, 2, (4, 4), max_n_modes=None).max_n_modes == [8, 5]
    with pytest.raises(ValueError, match=r"max_n_modes=\(8, 5\), and the network gives .*\(8, 8\)"):
        bound(2, 2, (4, 4), max_n_modes=(8, 8))


@pytest.mark.parametrize("option", ["grids", "n_modes", "in_channels", "self"])
def test_what_is_no_option_is_refused_where_it_is_bound(option):
    with pytest.raises(
        ValueError, match=f"no option '{option}' to configure; its options are .*grid"
    ):
        MonarchSpectralConv.configured(**{option: 3})


def test_bound_classes_are_classes_of_the_layer():
    bound = BOUND["configured twice"]
    assert issubclass(bound, MonarchSpectralConv)
    assert bound.__name__ == "MonarchSpectralConv"
    layer = bound(4, 4, (6, 6))
    assert isinstance(layer, MonarchSpectralConv)
    assert [t.heads for t in layer.forward_transforms] == [2, 2]
