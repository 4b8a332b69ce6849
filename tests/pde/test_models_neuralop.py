"""The other networks of neuralop: tensorised, U-shaped, local; equal before learning."""

import pickle

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv
from neuralop.models import TFNO, UNO
from pde_configs import config_of

from monarch_core import MonarchSpectralConv, monarchize
from monarch_core.adapters.neuralop.release import convolves_odd_grids
from monarch_core.training.optimization import n_parameters
from pde.models import build_model, check_model

SMALL = ["model.n_modes=4", "model.hidden_channels=4"]
UNO_SMALL = ["model=uno", "model.lifting_channels=6", "model.projection_channels=6"]
TFNO_SMALL = ["model=tfno", "model.n_layers=2", "model.rank=0.3"]
NETWORKS = {
    "tfno": TFNO_SMALL,
    "tfno, cp": [*TFNO_SMALL, "model.factorization=cp"],
    "tfno, tt, 1-D": ["dataset=burgers", *TFNO_SMALL, "model.factorization=tt"],
    "uno": UNO_SMALL,
    "uno, padded": [*UNO_SMALL, "model.domain_padding=0.25"],
    "uno, 1-D": ["dataset=burgers", *UNO_SMALL],
    "local_no": ["model=local_no", "model.n_layers=2"],
    "fno_continued": ["model=fno_continued", "model.n_layers=2"],
}
undoes_its_shift_wrongly = pytest.mark.skipif(
    convolves_odd_grids(), reason="neuralop after 2.0 convolves on odd grids too"
)


def network_of(name, *overrides):
    if name == "local_no":
        pytest.importorskip("torch_harmonics")
    config = config_of(*NETWORKS[name], *SMALL, *overrides)
    torch.manual_seed(0)
    return build_model(config, (16, 16)[: config.dataset.n_axes]).step


def fields(network):
    torch.manual_seed(1)
    axes = 2 if network.n_dim == 2 else 1
    return torch.randn(2, network.in_channels, *[16] * axes)


@pytest.mark.parametrize("transform", ["monarch", "monarch_frozen"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_transform_is_the_one_thing_that_differs(name, transform):
    """Values and gradients of everything beside it agree before learning, from one seed."""
    fft, swapped = (network_of(name, f"transform={t}") for t in ("fft", transform))
    x = fields(fft)
    theirs, ours = fft(x), swapped(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    (theirs.square().sum() + ours.square().sum()).backward()
    gradients = [
        {
            key.replace("mode_weight.tensor", "weight"): p.grad
            for key, p in network.named_parameters()
            if "_transforms." not in key and not key.endswith(("mode_weight", "weight.tensor"))
        }
        for network in (swapped, fft)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    learned = [p for key, p in swapped.named_parameters() if "_transforms." in key]
    assert any(p.grad is not None and p.grad.norm() > 0 for p in learned) == (
        transform == "monarch"
    )
    frozen = network_of(name, "transform=monarch_frozen")
    assert n_parameters(frozen) == n_parameters(fft)
    again = pickle.loads(pickle.dumps(swapped))
    assert torch.equal(again(x), ours)


@pytest.mark.parametrize("name", ["tfno", "uno", "uno, padded", "uno, 1-D"])
def test_a_trained_network_is_exchanged(name):
    fft = network_of(name, "transform=fft")
    x = fields(fft)
    y = fft(x)
    grids = [m for m in fft.modules() if isinstance(m, SpectralConv)]
    make = MonarchSpectralConv.configured(grid=(32, 32)[: fft.n_dim])
    swapped = monarchize(fft, conv_module=make, select=lambda _, m: isinstance(m, SpectralConv))
    found = [m for m in swapped.modules() if isinstance(m, MonarchSpectralConv)]
    assert len(found) == len(grids) > 1
    torch.testing.assert_close(swapped(x), y, rtol=1e-4, atol=1e-5)


def test_they_are_neuralops_own(capsys):
    tfno = network_of("tfno", "transform=fft")
    torch.manual_seed(0)
    options = {"in_channels": tfno.in_channels, "out_channels": 1, "hidden_channels": 4}
    theirs = TFNO((8, 8), **options, n_layers=2, rank=0.3, lifting_channel_ratio=10.1,
                  projection_channel_ratio=10.1)  # fmt: skip
    x = fields(tfno)
    torch.testing.assert_close(tfno(x), theirs(x))
    uno = network_of("uno", "transform=fft")
    assert capsys.readouterr().out == ""
    torch.manual_seed(0)
    theirs = UNO(
        **options,
        lifting_channels=6,
        projection_channels=6,
        n_layers=5,
        channel_mlp_skip="linear",
        uno_out_channels=[4, 8, 8, 8, 4],
        uno_n_modes=[[8, 8], [4, 4], [4, 4], [4, 4], [8, 8]],
        uno_scalings=[[s, s] for s in (1.0, 0.5, 1.0, 2.0, 1.0)],
    )
    torch.testing.assert_close(uno(x), theirs(x))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=tfno", "model.factorization=svd"], "must be null or one of tucker, cp, tt, got"),
        (["model=tfno", "model.rank=0"], "model.rank must be above 0, such as 0.1, got 0"),
        (["model=uno", "model.n_layers=4"], "positive number for each of the 4 layers"),
        (["model=uno", "model.scalings=[1.0,0.5,1.0,1.0,1.0]"], "a product of 0.5; for every 0.5"),
        (["model=uno", "transform=monarch_hadamard"], "interpolated from grid to grid, got trans"),
        (["model=uno", "model.n_modes=12"], "a grid of 16x16 points holds k < 8"),
    ],
)
def test_errors(overrides, message):
    with pytest.raises(ValueError, match=message):
        build_model(config_of(*overrides), (16, 16))


def test_local_integrals_are_not_evaluated_on_other_grids():
    pytest.importorskip("torch_harmonics")
    overrides = [*SMALL, "model=local_no", "evaluation.grids=[32]", "dataset.grid=16"]
    with pytest.raises(
        ValueError, match=r"model\.local_integrals=true works on the points that it"
    ):
        check_model(config_of(*overrides))


def test_without_its_extra_the_local_network_says_so(monkeypatch):
    monkeypatch.setattr("monarch_core.extras.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"torch_harmonics; run pip install .*\[local_no\]"):
        build_model(config_of(*SMALL, "model=local_no"), (16, 16))


def test_local_integrals_are_for_two_dimensions():
    pytest.importorskip("torch_harmonics")
    with pytest.raises(ValueError, match="local_integrals=true is for two dimensions, got 1"):
        build_model(config_of("dataset=burgers", "model=local_no"), (32,))


@undoes_its_shift_wrongly
def test_a_grid_that_is_odd_inside_of_the_u_is_refused_by_its_level():
    """20 x 24 points are even, and 10 x 12; 5 x 6, which come into layer 3, are not."""
    small = [*UNO_SMALL, *SMALL, "model.scalings=[1,0.5,0.5,2,2]", "model.hidden_channels=8"]
    fft = config_of(*small, "transform=fft")
    message = r"grid 20x24 .* becomes 5x6 .* layer 3 .*scalings=\[1.*monarch_frozen.*multiples of 8"
    with pytest.raises(ValueError, match=message):
        build_model(fft, (20, 24))
    build_model(fft, (24, 24))
    build_model(config_of(*small, "transform=monarch_frozen"), (20, 24))


@undoes_its_shift_wrongly
def test_so_is_one_of_the_evaluation():
    small = [*UNO_SMALL, *SMALL, "dataset.grid=32", "evaluation.grids=[10]", "transform=fft"]
    with pytest.raises(ValueError, match=r"grid 10x10 .* becomes 5x5"):
        check_model(config_of(*small))
