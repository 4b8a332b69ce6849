"""The options of a transform make the transform they name, and earlier layouts say the same."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from monarch_core.runs.former_layout import to_current
from monarch_core.training.transform_config import OPTIONS, TransformConfig, axis_transform
from monarch_core.transforms import Dense, Fourier, Monarch

CONFIGS = Path(__file__).parents[3] / "configs/transform"
N = 15


def config_of(name):
    return TransformConfig(**OmegaConf.load(CONFIGS / f"{name}.yaml"))


def same(a, b):
    torch.testing.assert_close(a.matrix(), b.matrix(), rtol=0, atol=0)
    learned = [[p.requires_grad for p in t.parameters()] for t in (a, b)]
    assert learned[0] == learned[1]
    assert type(a) is type(b)


@pytest.mark.parametrize("options", [{}, {"centered": True}, {"modes": [-2, -1, 0, 1]}])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    ("config", "made"),
    [
        (config_of("fft"), Fourier),
        (config_of("monarch"), Monarch),
        (config_of("dense"), Dense),
        (TransformConfig("m", heads=3), lambda n, **o: Monarch(n, heads=3, **o)),
        (
            TransformConfig("m", block_sizes=[5, 3]),
            lambda n, **o: Monarch(n, block_sizes=[5, 3], **o),
        ),
        (TransformConfig("d", kind="dense", heads=2), lambda n, **o: Dense(n, heads=2, **o)),
        (config_of("monarch_frozen"), lambda n, **o: Monarch(n, frozen=True, **o)),
    ],
)
def test_the_options_make_the_transform(config, made, inverse, options):
    same(axis_transform(config, N, inverse=inverse, **options), made(N, inverse=inverse, **options))


@pytest.mark.parametrize(("name", "start"), [("cosine", "cosine"), ("sine", "sine")])
@pytest.mark.parametrize("frozen", [False, True])
def test_other_starts_have_a_rank_of_their_own(name, start, frozen):
    config = config_of(f"{name}_frozen" if frozen else f"monarch_{name}")
    same(axis_transform(config, N), Monarch(N, start=start, rank=2, frozen=frozen))


@pytest.mark.parametrize("kind", ["monarch", "dense"])
@pytest.mark.parametrize(
    ("learn", "learned"),
    [("both", (1, 1)), ("forward", (1, 0)), ("inverse", (0, 1)), ("none", (0, 0))],
)
def test_what_learns_is_said_once(kind, learn, learned):
    config = TransformConfig("t", kind=kind, learn=learn)
    found = [axis_transform(config, N, inverse=inverse) for inverse in (False, True)]
    assert tuple(all(p.requires_grad for p in t.parameters()) for t in found) == learned


@pytest.mark.parametrize("name", ["monarch_sine", "dense"])
def test_axes_that_a_transform_does_not_have_keep_the_dft(name):
    config = TransformConfig(**{**OmegaConf.load(CONFIGS / f"{name}.yaml"), "axes": [1]})
    same(axis_transform(config, N, axis=0), Monarch(N, frozen=True))
    same(axis_transform(config, N, axis=1), axis_transform(config_of(name), N))
    assert config.basis_of(0) == "fourier"
    assert config.basis_of(1) == config.start


def test_the_exact_transform_is_the_matrices_of_the_problem_and_their_inverse():
    columns = torch.linalg.qr(torch.randn(3, N, N, dtype=torch.complex128))[0]
    columns = columns * torch.linspace(0.5, 2, N)
    columns[2] *= torch.linspace(1, 0, N)[:, None]  # one of them loses what it cannot give back
    forward, inverse = (
        axis_transform(config_of("scanner"), N, inverse=inverse, known=lambda kind, n: columns)
        for inverse in (False, True)
    )
    assert forward.heads == inverse.heads == 3
    assert not any(p.requires_grad for T in (forward, inverse) for p in T.parameters())
    A, B = (T.dense().to(torch.complex128) for T in (forward, inverse))
    torch.testing.assert_close(A, columns, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        B[:2] @ A[:2], torch.eye(N).to(A).expand(2, -1, -1), atol=1e-5, rtol=0
    )
    sizes = torch.linalg.svdvals(columns[2])
    kept = sizes > 0.1 * sizes[0]
    assert 0 < kept.sum() < N
    largest = torch.linalg.svdvals(B[2])[0]
    torch.testing.assert_close(largest, 1 / sizes[kept].min(), rtol=1e-4, atol=0)


def test_a_problem_that_does_not_know_the_exact_transform():
    with pytest.raises(ValueError, match=r"transform=scanner .* not known along axis 1; choose a"):
        axis_transform(config_of("scanner"), N, axis=1)
    assert config_of("scanner").declares()["basis"] == "exact"


@pytest.mark.parametrize(("name", "kind"), [("scanner", "exact"), ("field_map", "measured")])
def test_what_is_asked_of_the_problem_is_the_kind(name, kind):
    asked = []

    def known(*what):
        asked.append(what)
        return torch.eye(N)

    axis_transform(config_of(name), N, known=known)
    assert asked == [(kind, N)]


@pytest.mark.parametrize("axes", [[], [0, 0], [3], [-1]])
def test_axes_that_are_none(axes):
    with pytest.raises(ValueError, match=r"transform\.axes must be"):
        TransformConfig("m", axes=axes)


def test_every_option_belongs_to_a_kind():
    known = {option for options in OPTIONS.values() for option in options}
    assert known | {"name", "kind"} == set(TransformConfig.__dataclass_fields__)


def former(axis, conv_options):
    axis = {"_target_": f"monarch_core.{axis.pop('kind')}", "_partial_": True, **axis}
    conv = {"_target_": "monarch_core.MonarchSpectralConv.configured", "_partial_": True}
    return {"axis": axis, "spectral_conv": {**conv, "transform": axis, **conv_options}}


FFT = {
    "axis": {"_target_": "monarch_core.Fourier", "_partial_": True},
    "spectral_conv": {
        "_target_": "monarch_core.layers.neuralop_spectral_conv",
        "_partial_": True,
    },
}
COSINE = {"kind": "Monarch", "start": "cosine", "rank": 2}


@pytest.mark.parametrize(
    ("name", "node", "changes"),
    [
        ("fft", FFT, {}),
        ("monarch", former({"kind": "Monarch", "heads": 1}, {"learn": "both"}), {}),
        ("monarch", former({"kind": "Monarch", "heads": 4}, {"learn": "both"}), {"heads": 4}),
        ("monarch_frozen", former({"kind": "Monarch", "frozen": True}, {"learn": "none"}), {}),
        ("dense", former({"kind": "Dense"}, {"learn": "both"}), {}),
        (
            "monarch_cosine",
            former({**COSINE, "heads": 1}, {"learn": "both", "basis": "cosine"}),
            {"rank": 2},
        ),
        (
            "cosine_frozen",
            former({**COSINE, "frozen": True}, {"learn": "none", "basis": "cosine"}),
            {"rank": 2},
        ),
    ],
)
def test_the_former_layout_says_the_same(name, node, changes):
    stored = {"seed": 3, "transform": {"name": name, **node}}
    current = to_current(stored)
    assert current["seed"] == 3
    expected = config_of(name)
    for key, value in changes.items():
        setattr(expected, key, value)
    assert TransformConfig(**current["transform"]) == expected
    assert to_current(current) == current


@pytest.mark.parametrize(
    "node",
    [
        {"axis": FFT["axis"]},
        {"axis": None, "spectral_conv": None},
        {**FFT, "axis": {"_target_": ["a"], "_partial_": True}},
        former({"kind": "Monarch"}, {"learn": "none"}),
        former({"kind": "Monarch", "frozen": True}, {"learn": "both"}),
        former({"kind": "Monarch"}, {"learn": "both", "basis": "sine"}),
        former(dict(COSINE), {"learn": "both"}),
        former({"kind": "Hadamard"}, {"learn": "both"}),
        {**former({"kind": "Monarch"}, {"learn": "both"}), "spectral_conv": FFT["spectral_conv"]},
    ],
)
def test_what_no_former_transform_was_is_refused(node):
    with pytest.raises(ValueError, match="nothing that a config names is called"):
        to_current({"transform": {"name": "x", **node}})
