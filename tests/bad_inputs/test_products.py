"""Refusals of the products of spectral layers, of maps on channels and of our FNO."""

import copy

import jaxtyping
import pytest
import torch
from bad_inputs import BadInput, assert_refused, table
from neuralop.models import FNO as NeuralopFNO  # noqa: N811

from monarch_core import MonarchSpectralConv
from monarch_core.layers.pointwise import PointwiseMLP
from monarch_core.layers.spectral_product import spectral_product
from pde.models.channels_last import FNO, copy_neuralop_weights


@pytest.fixture(autouse=True)
def as_users_run(monkeypatch):
    """Leave the refusals to the code: signatures are checked in tests alone."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def rows_of(heads, *sizes):
    return [torch.zeros(heads, 2 * m, n) for m, n in sizes]


def product(**changed):
    arguments = {
        "x": torch.zeros(1, 2, 8, 10),
        "W": torch.zeros(2, 4, 3, 2, 3),
        "bias": torch.zeros(3, 1, 1),
        "down": rows_of(1, (4, 8), (3, 10)),
        "up": rows_of(1, (4, 8), (3, 10)),
    }
    return spectral_product(**{**arguments, **changed})


CONV = MonarchSpectralConv.configured(grid=(8, 10))
SIZES = {"in_channels": 2, "out_channels": 3, "hidden_channels": 4, "n_layers": 1}


def network(n_modes=(4, 4), conv_module=CONV, **changed):
    return FNO(n_modes, **{**SIZES, **changed}, conv_module=conv_module)


def apply_network(x, **changed):
    return network(**changed)(x)


@table(
    BadInput(
        "channels",
        lambda: product(x=torch.zeros(1, 3, 8, 10)),
        ("x must be (batch, 2 channels, 2 axes)", "(1, 3, 8, 10)"),
    ),
    BadInput(
        "axes",
        lambda: product(x=torch.zeros(1, 2, 8)),
        ("x must be", "2 axes", "(1, 2, 8)", "n_modes"),
    ),
    BadInput("grid", lambda: product(x=torch.zeros(1, 2, 8, 11)), ("down must have", "(1, 6, 11)")),
    BadInput(
        "bias",
        lambda: product(bias=torch.zeros(2, 1, 1)),
        ("bias must have the shape (3, 1, 1)", "(2, 1, 1)"),
    ),
    BadInput(
        "modes", lambda: product(up=rows_of(1, (4, 8), (2, 10))), ("up must have", "(1, 4, 10)")
    ),
    BadInput(
        "heads",
        lambda: product(down=rows_of(5, (4, 8), (3, 10))),
        ("heads must divide the number of channels", "heads=5 and 2 channels", "change one"),
    ),
    BadInput(
        "too few rows",
        lambda: product(up=rows_of(1, (4, 8))),
        ("up must have one matrix", "2 axes", "got 1"),
    ),
    BadInput(
        "double fields",
        lambda: product(x=torch.zeros(1, 2, 8, 10, dtype=torch.double)),
        ("x: torch.float64", "W: torch.float32", "x.to(torch.float32)", "layer.to(torch.float64)"),
    ),
    BadInput(
        "half fields",
        lambda: product(x=torch.zeros(1, 2, 8, 10, dtype=torch.half)),
        ("x: torch.float16", "x.to(torch.float32)", "torch.autocast"),
    ),
    BadInput(
        "whole numbers",
        lambda: product(x=torch.zeros(1, 2, 8, 10, dtype=torch.long)),
        ("x: torch.int64", "x.to(torch.float32)"),
    ),
    BadInput(
        "complex fields",
        lambda: product(x=torch.zeros(1, 2, 8, 10, dtype=torch.cfloat)),
        ("real numbers", "x: torch.complex64", "two channels"),
    ),
    BadInput(
        "double bias",
        lambda: product(bias=torch.zeros(3, 1, 1).double()),
        ("bias: torch.float64", "W: torch.float32"),
    ),
    BadInput(
        "double rows",
        lambda: product(up=[R.double() for R in rows_of(1, (4, 8), (3, 10))]),
        ("up[0]: torch.float64", "W: torch.float32"),
    ),
    BadInput(
        "one double row",
        lambda: product(down=[*rows_of(1, (4, 8)), *(R.double() for R in rows_of(1, (3, 10)))]),
        ("down[1]: torch.float64", "W: torch.float32"),
    ),
)
def test_products(case):
    product()
    assert_refused(case)


@pytest.mark.parametrize("dtype", [torch.cfloat, torch.cdouble])
def test_autocast_drops_no_imaginary_part(dtype):
    x = torch.zeros(1, 2, 8, 10, dtype=dtype)
    for act in (lambda: product(x=x), lambda: PointwiseMLP(2, 3, 1)(x.flatten(2))):
        with torch.autocast("cpu", torch.bfloat16):
            assert_refused(BadInput("complex", act, ("real numbers", f"x: {dtype}")))


def test_autocast_takes_what_it_converts():
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        with torch.autocast("cpu", torch.bfloat16):
            assert product(x=torch.zeros(1, 2, 8, 10, dtype=dtype)).dtype == torch.bfloat16


@table(
    BadInput(
        "grid axes not flat",
        lambda: PointwiseMLP(2, 3, 1)(torch.zeros(1, 2, 4, 4)),
        ("x must be (batch, 2 channels, points)", "(1, 2, 4, 4)", "flatten"),
    ),
    BadInput(
        "channels last",
        lambda: PointwiseMLP(2, 3, 1)(torch.zeros(1, 4, 2)),
        ("x must be (batch, 2 channels, points)", "(1, 4, 2)"),
    ),
    BadInput(
        "channels, single map",
        lambda: PointwiseMLP(2, 0, 1)(torch.zeros(1, 4, 2)),
        ("x must be (batch, 2 channels, points)", "(1, 4, 2)"),
    ),
    BadInput(
        "double",
        lambda: PointwiseMLP(2, 3, 1)(torch.zeros(1, 2, 4).double()),
        ("x: torch.float64", "weight: torch.float32", "x.to(torch.float32)"),
    ),
    BadInput(
        "complex",
        lambda: PointwiseMLP(2, 0, 1)(torch.zeros(1, 2, 4, dtype=torch.cfloat)),
        ("real numbers", "x: torch.complex64"),
    ),
)
def test_maps_on_channels(case):
    assert_refused(case)


@table(
    BadInput(
        "one axis too few",
        lambda: apply_network(torch.zeros(1, 2, 8)),
        ("2 axes of the grid", "(1, 2, 8)", "n_modes"),
    ),
    BadInput(
        "an axis in the place of a channel",  # 3 channels and 1 coordinate: as many as 2 and 2
        lambda: apply_network(torch.zeros(1, 3, 8)),
        ("2 channels, 2 axes", "(1, 3, 8)"),
    ),
    BadInput(
        "a batch of none",
        lambda: apply_network(torch.zeros(2, 8, 10)),
        ("(batch, 2 channels, 2 axes of the grid)", "(2, 8, 10)"),
    ),
    BadInput(
        "channels",
        lambda: apply_network(torch.zeros(1, 5, 8, 10)),
        ("2 channels", "(1, 5, 8, 10)", "in_channels"),
    ),
    BadInput(
        "double",
        lambda: apply_network(torch.zeros(1, 2, 8, 10).double()),
        ("x: torch.float64", "x.to(torch.float32)", "layer.to(torch.float64)"),
    ),
    BadInput(
        "complex",
        lambda: apply_network(torch.zeros(1, 2, 8, 10, dtype=torch.cfloat)),
        ("real numbers", "x: torch.complex64", "two channels"),
    ),
    BadInput("no modes", lambda: network(n_modes=()), ("n_modes must have one", "got ()", "(16,)")),
    BadInput("modes, a number", lambda: network(n_modes=8), ("n_modes", "got 8", "(16,)")),
    BadInput("no layer", lambda: network(n_layers=0), ("n_layers", "at least 1", "got 0")),
    BadInput("no width", lambda: network(hidden_channels=0), ("hidden_channels", "got 0")),
    BadInput("no field", lambda: network(in_channels=0), ("in_channels", "got 0")),
    BadInput("no output", lambda: network(out_channels=-1), ("out_channels", "got -1")),
    BadInput(
        "lifting", lambda: network(lifting_channels=-1), ("lifting_channels", "at least 0", "-1")
    ),
    BadInput("projection", lambda: network(projection_channels=-2), ("projection_channels", "-2")),
)
def test_networks(case):
    assert_refused(case)


def host(**changed):
    options = {
        "n_modes": (4, 4),
        **SIZES,
        "lifting_channel_ratio": 0,
        "projection_channel_ratio": 32,
        "use_channel_mlp": False,
        "conv_module": CONV,
    }
    return NeuralopFNO(**{**options, **changed})


@table(
    BadInput(
        "width",
        lambda m: copy_neuralop_weights(m, host(hidden_channels=8)),
        ("(4, 1, 1) here", "(8, 1, 1) there", "same sizes"),
    ),
    BadInput("layers", lambda m: copy_neuralop_weights(m, host(n_layers=2)), ("not there here",)),
    BadInput(
        "channel mlp",
        lambda m: copy_neuralop_weights(m, host(use_channel_mlp=True)),
        ("channel_mlp", "not there here", "without channel MLP"),
    ),
    BadInput(
        "modes",
        lambda m: copy_neuralop_weights(m, host(n_modes=(4, 6))),
        ("convs.0.", "same sizes"),
    ),
    BadInput(
        "no coordinates",
        lambda m: copy_neuralop_weights(m, host(positional_embedding=None)),
        ("lifting.maps.0.weight is (4, 4) here and (4, 2) there", "same sizes"),
    ),
)
def test_weights_of_another_network_are_refused_and_none_is_copied(case):
    model = network()
    copy_neuralop_weights(model, host())
    before = copy.deepcopy(model.state_dict())
    assert_refused(case, model)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
