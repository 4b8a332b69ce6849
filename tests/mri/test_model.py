"""Every reconstruction: limits, units, counts, and that learning helps."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import StackDataset, TensorDataset

from monarch_core.transforms import Dense, Fourier, Monarch, prepared
from mri.config.model import (
    MODELS,
    CgSenseConfig,
    ModelConfig,
    SenseConfig,
    UNetConfig,
    UnrolledConfig,
)
from mri.metrics.losses import mean_squared
from mri.models import build_model as build_model_of
from mri.models.tuning import choose_lamda
from mri.models.unet import UNet
from mri.models.unrolled import INITIAL_LAMDA
from mri.physics.axis_transforms import AxisFactory, axis_transforms
from mri.physics.encoding import Sense, zero_filled_scale

GRID = (12, 9)
SMALL = {"n_channels": 4, "n_pools": 1, "n_cascades": 2, "n_layers": 2, "n_iterations": 4}


def small(name, **options):
    """The options of a model, as small as `SMALL` has them."""
    kind = MODELS[name]
    known = {key: value for key, value in SMALL.items() if hasattr(kind, key)}
    return kind(**{**known, **options})


CASES = [
    small("sense"),
    small("sense", weighting="scale"),
    small("sense", weighting="diagonal"),
    small("cg_sense"),
    small("l1_wavelet"),
    small("unet"),
    small("unet", residual=True),
    small("unrolled"),
    small("unrolled", data_consistency="cg"),
    small("unrolled", tied=False, transform_per_cascade=True),
]


def build_model(config: ModelConfig, factory: AxisFactory, grid: tuple[int, int]) -> nn.Module:
    """Build a model with the same kind of transform along both axes."""
    return build_model_of(config, partial(axis_transforms, factory), grid)


def describe(config: ModelConfig) -> str:
    options = ("weighting", "data_consistency", "residual", "tied")
    return "-".join([config.name, *(str(getattr(config, key, "")) for key in options)])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(4)


@pytest.fixture(params=CASES, ids=describe)
def config(request) -> ModelConfig:
    return request.param


def random_complex(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex64)


def measure(image: Tensor, n_coils: int, fraction: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """Return k-space, maps of unit root-sum-of-squares, and mask of an image (b, e, h, w)."""
    b, _, h, w = image.shape
    maps = random_complex(b, n_coils, h, w)
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    mask = (torch.rand(b, h, w) < fraction).float()
    return Sense(maps, mask, axis_transforms(Fourier, (h, w))).forward(image), maps, mask


def perturb(model: torch.nn.Module) -> None:
    """Move every convolution away from its start, whose last layer is zero."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.1)


@pytest.mark.parametrize("n_coils", [1, 3])
def test_output_is_one_finite_image_per_echo_for_any_number_of_coils(config, n_coils):
    model = build_model(config, Fourier, GRID)
    image = model(*measure(random_complex(2, 3, *GRID), n_coils))
    assert image.shape == (2, 3, *GRID)
    assert image.dtype == torch.complex64
    assert image.isfinite().all()


@pytest.mark.parametrize("unit", [1e-6, 4e3, 2.0**-80, 2.0**80])  # squares of two are no float32
def test_the_unit_of_the_data_comes_out(config, unit):
    model = build_model(config, Fourier, GRID)
    perturb(model)
    kspace, maps, mask = measure(random_complex(1, 2, *GRID), 2)
    kspace[:, 1] *= 0.1  # echoes of different strength
    with torch.no_grad():
        torch.testing.assert_close(
            model(unit * kspace, maps, mask) / unit,
            model(kspace, maps, mask),
            rtol=1e-4,
            atol=1e-5,
        )


def test_a_mask_that_samples_nothing_gives_zero_and_finite_gradients(config):
    model = build_model(config, Fourier, GRID)
    kspace, maps, mask = measure(random_complex(1, 1, *GRID), 2, fraction=0.0)
    image = model(kspace, maps, mask)
    assert image.isfinite().all()
    if config.name not in ("unet", "unrolled"):  # biases of a network may draw something
        assert not image.any()
    parameters = [p for p in model.parameters() if p.requires_grad]
    if parameters:
        mean_squared(image, torch.ones_like(image)).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in parameters)


@pytest.mark.parametrize("config", [c for c in CASES if c.name != "l1_wavelet"], ids=describe)
def test_an_untrained_monarch_is_the_fft_in_outputs_and_gradients(config):
    torch.manual_seed(0)
    with_fft = build_model(config, Fourier, GRID)
    perturb(with_fft)
    with_monarch = build_model(config, Monarch, GRID)
    with_monarch.load_state_dict(with_fft.state_dict(), strict=False)  # all but the transforms
    kspace, maps, mask = measure(random_complex(2, 2, *GRID), 3)
    results = []
    for model in (with_fft, with_monarch):
        leaf = kspace.clone().requires_grad_()
        image = model(leaf, maps, mask)
        shared = [p for n, p in model.named_parameters() if not n.endswith((".L", ".R"))]
        loss = image.abs().square().mean()
        results.append((image, *torch.autograd.grad(loss, [leaf, *shared])))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["unet", "unrolled"])
def test_a_seed_gives_the_same_network_whatever_the_transform(name):
    models = []
    for factory in (Fourier, Monarch, Dense):
        torch.manual_seed(7)
        untied = {"tied": False} if name == "unrolled" else {}
        models.append(build_model(small(name, **untied), factory, GRID))
    control = dict(models[0].named_parameters())
    for model in models[1:]:
        for parameter, expected in control.items():
            assert torch.equal(model.get_parameter(parameter), expected)


@pytest.mark.parametrize("name", ["unet", "unrolled"])
def test_networks_run_in_bfloat16_and_return_single_precision(name):
    model = build_model(small(name), Monarch, GRID)
    perturb(model)
    inputs = measure(random_complex(1, 2, *GRID), 2)
    expected = model(*inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = model(*inputs)
    assert image.dtype == torch.complex64
    assert 0 < (image - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize("weighting", ["none", "scale", "diagonal"])
def test_untrained_sense_is_zero_filled_sense(weighting):
    model = build_model(SenseConfig(weighting=weighting), Monarch, GRID)
    kspace, maps, mask = measure(random_complex(2, 2, *GRID), 3)
    expected = Sense(maps, mask, axis_transforms(Fourier, GRID)).adjoint(kspace)
    torch.testing.assert_close(model(kspace, maps, mask), expected, rtol=1e-5, atol=1e-5)


def test_controls_of_sense_weight_as_they_say():
    kspace, maps, mask = measure(random_complex(1, 2, *GRID), 3)
    plain = build_model(SenseConfig(), Fourier, GRID)
    scaled = build_model(SenseConfig(weighting="scale"), Fourier, GRID)
    scaled.scale.data = torch.tensor([0.0, 2.0])
    torch.testing.assert_close(scaled(kspace, maps, mask), 2j * plain(kspace, maps, mask))
    filtered = build_model(SenseConfig(weighting="diagonal"), Fourier, GRID)
    torch.nn.init.uniform_(filtered.density)
    expected = plain(filtered.density * kspace, maps, mask)
    torch.testing.assert_close(filtered(kspace, maps, mask), expected)


def n_real(model: torch.nn.Module) -> int:
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters())


def test_parameters_of_the_paper():
    assert n_real(build_model(SenseConfig(), Monarch, (512, 160))) == 57_472
    assert n_real(build_model(SenseConfig(), Dense, (512, 160))) == 2 * 287_744
    assert n_real(build_model(UNetConfig(), Fourier, (512, 160))) == 7_756_418


def test_unrolled_transforms_are_shared_tied_and_counted_as_configured():
    def count(**options: bool) -> int:
        models = [
            build_model(small("unrolled", **options), factory, GRID)
            for factory in (Monarch, Fourier)
        ]
        return n_real(models[0]) - n_real(models[1])

    one = n_real(axis_transforms(Monarch, GRID))
    assert count() == one
    assert count(tied=False) == 2 * one
    assert count(transform_per_cascade=True) == SMALL["n_cascades"] * one
    assert count(tied=False, transform_per_cascade=True) == 2 * SMALL["n_cascades"] * one


def test_untrained_cascades_are_gradient_descent():
    model = build_model(small("unrolled"), Fourier, GRID)
    kspace, maps, mask = measure(random_complex(1, 2, *GRID), 3)
    sense = Sense(maps, mask, axis_transforms(Fourier, GRID))
    x = sense.adjoint(kspace)
    for _ in range(SMALL["n_cascades"]):
        x = x - sense.adjoint(sense.forward(x) - kspace)
    torch.testing.assert_close(model(kspace, maps, mask), x)


def test_a_cg_cascade_solves_its_subproblem():
    config = UnrolledConfig(data_consistency="cg", n_cascades=1, n_iterations=30)
    model = build_model(config, Fourier, (4, 3))
    perturb(model)
    kspace, maps, mask = measure(random_complex(1, 1, 4, 3), 2)
    sense = Sense(maps, mask, axis_transforms(Fourier, (4, 3)))
    start = sense.adjoint(kspace)
    scale = zero_filled_scale(kspace)
    z = scale * model.regularisers[0](start / scale)
    assert (z - start).abs().max() > 0.1
    x = model(kspace, maps, mask)
    gradient = sense.normal(x) - start + INITIAL_LAMDA * (x - z)
    torch.testing.assert_close(gradient, torch.zeros_like(x), rtol=0, atol=1e-5)


def test_each_cascade_uses_its_own_transform_and_regulariser():
    config = small("unrolled", transform_per_cascade=True, tied=False)
    model = build_model(config, Monarch, GRID)
    perturb(model)
    inputs = measure(random_complex(1, 1, *GRID), 2)
    model(*inputs).abs().square().sum().backward()
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.any() for g in gradients)


@pytest.mark.parametrize("config", [c for c in CASES if c.name != "l1_wavelet"], ids=describe)
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_reconstructions_have_the_same_gradients(config, reentrant):
    model = build_model(config, Monarch, GRID)
    perturb(model)
    kspace, maps, mask = measure(random_complex(1, 1, *GRID), 2)
    results = []
    for checkpointed in (False, True):
        model.zero_grad()
        arguments = (kspace.clone().requires_grad_(), maps, mask)  # which the reentrant kind needs
        image = prepared(model)(*arguments)
        if checkpointed:
            image = image + checkpoint(model, *arguments, use_reentrant=reentrant)
        else:
            image = image + model(*arguments)
        image.abs().square().sum().backward()
        results.append([image.detach(), *(p.grad for p in model.parameters())])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_unet_takes_any_size_and_crops_what_it_padded():
    unet = UNet(n_channels=3, n_pools=2)
    for shape in [(5, 4), (13, 7), (8, 16)]:
        assert unet(torch.randn(2, 2, *shape)).shape == (2, 2, *shape)
    with pytest.raises(ValueError, match=r"an image of 4 x 3 is one pixel after 2 poolings"):
        unet(torch.randn(1, 2, 4, 3))


def phantoms(n: int) -> Tensor:
    """Return smooth complex images (n, 2, 12, 9), two echoes each."""
    rows, columns = (torch.linspace(-1, 1, size) for size in GRID)
    centres, widths = torch.rand(n, 2, 1, 1) - 0.5, 0.2 + 0.3 * torch.rand(n, 1, 1)
    squares = (rows[:, None] - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2
    disc = torch.sigmoid((widths - squares) * 10)
    phase = torch.polar(torch.ones(n, *GRID), torch.rand(n, 1, 1) * rows[:, None])
    return torch.stack([disc * phase, 0.5 * disc * phase], dim=1)


@pytest.mark.parametrize("factory", [Monarch, Dense])
def test_learned_sense_beats_zero_filled_on_images_it_has_not_seen(factory):
    images = phantoms(24)
    kspace, maps, mask = measure(images, 2)
    mask[:] = mask[0]
    mask[:, 5:8, 3:6] = 1
    sense = Sense(maps, mask, axis_transforms(Fourier, GRID))
    kspace = sense.forward(images)
    model = build_model(SenseConfig(), factory, GRID)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(30):
        optimizer.zero_grad()
        mean_squared(model(kspace[:16], maps[:16], mask[:16]), images[:16]).backward()
        optimizer.step()
    with torch.no_grad():
        learned = mean_squared(model(kspace[16:], maps[16:], mask[16:]), images[16:])
    untrained = mean_squared(sense.adjoint(kspace)[16:], images[16:])
    assert learned < 0.8 * untrained


@pytest.mark.parametrize("name", ["cg_sense", "l1_wavelet"])
def test_iterative_baselines_beat_zero_filled(name):
    images = phantoms(3)
    kspace, maps, mask = measure(images, 4, fraction=0.6)
    model = build_model(MODELS[name](candidates=[1e-3], n_iterations=30), Fourier, GRID)
    untrained = build_model(SenseConfig(), Fourier, GRID)(kspace, maps, mask)
    error = mean_squared(model(kspace, maps, mask), images)
    assert error < 0.1 * mean_squared(untrained, images)


@pytest.mark.parametrize("has_phase", [True, False])
@pytest.mark.parametrize("name", ["cg_sense", "l1_wavelet"])
def test_the_best_candidate_is_kept_and_saved(name, has_phase):
    images = phantoms(3)
    kspace, maps, mask = measure(images, 3)
    kspace = kspace + 0.02 * mask[:, None, None] * torch.randn_like(kspace)
    turn = 1 if has_phase else 1j  # against targets of another phase the largest would be chosen
    valid = StackDataset(TensorDataset(kspace, maps, mask), turn * images)
    config = MODELS[name](candidates=[30.0, 1e-2, 10.0], n_iterations=5)
    model = build_model(config, Fourier, GRID)
    errors = choose_lamda(model, valid, has_phase=has_phase)
    assert min(errors, key=errors.__getitem__) == 1e-2
    assert model.state_dict()["lamda"] == pytest.approx(1e-2)
    found = model(kspace, maps, mask)
    if not has_phase:
        found, images = found.abs() + 0j, images.abs() + 0j
    error = mean_squared(found, images)
    assert float(error) == pytest.approx(errors[1e-2], rel=1e-4)


def test_models_without_a_choice_are_left_alone():
    for config in (SenseConfig(), CgSenseConfig(candidates=[0.1])):
        assert choose_lamda(build_model(config, Fourier, GRID), TensorDataset()) == {}
    model = build_model(CgSenseConfig(candidates=[0.1, 0.2]), Fourier, GRID)
    with pytest.raises(ValueError, match="validation split is empty"):
        choose_lamda(model, TensorDataset(torch.zeros(0)))


def test_a_candidate_without_an_error_is_not_chosen_but_named():
    kspace, maps, mask = measure(phantoms(2), 3)
    target = phantoms(2)
    target[1, 0, 3, 3] = torch.nan
    valid = StackDataset(TensorDataset(kspace, maps, mask), target)
    model = build_model(CgSenseConfig(candidates=[0.1, 0.2]), Fourier, GRID)
    with pytest.raises(ValueError, match=r"the weight 0\.1 has an error of nan .*repair the data"):
        choose_lamda(model, valid)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weighting": "phase"}, "weighting must be one of .*got 'phase'"),
        ({"name": "l1_wavelet"}, "l1_wavelet passes no gradient.*set transform=fft"),
        ({"name": "cg_sense", "candidates": []}, "candidates must hold at least one"),
        ({"name": "cg_sense", "candidates": [0.1, -1.0]}, "candidates must be from 0 to 1000000"),
        (
            {"name": "cg_sense", "candidates": [float("nan")]},
            "candidates must be from 0 to 1000000",
        ),
        ({"name": "unet", "n_pools": 0}, "n_pools must be from 1 to 32, got 0"),
        ({"name": "unet", "n_pools": 30}, "12 x 9 is one pixel after 30 poolings"),
        ({"name": "unet", "n_channels": 0}, "n_channels must be from 1 to .*, got 0"),
        ({"name": "cg_sense", "n_iterations": 0}, "n_iterations must be from 1 to .*, got 0"),
        (
            {"name": "unrolled", "data_consistency": "cg", "n_iterations": 10**9},
            "n_iterations must be from 1 to .*, got 1000000000",
        ),
        ({"name": "unrolled", "data_consistency": "newton"}, "data_consistency must be one of"),
        ({"name": "unrolled", "n_cascades": 0}, "n_cascades must be from 1 to 1024, got 0"),
        ({"name": "unrolled", "n_layers": 1}, "at least 2 layers and 1 channel, got n_layers=1"),
        (
            {"name": "unrolled", "data_consistency": "cg", "tied": False},
            "needs the adjoint of the transform, got tied=false; set tied=true",
        ),
    ],
)
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build_model(MODELS[options.pop("name", "sense")](**options), Monarch, GRID)
