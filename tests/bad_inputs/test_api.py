"""What the library's own functions and layers refuse, as a caller meets it: without type checks.

The expressions are evaluated in one program of its own, since the shape and type checks of the
tests would refuse many of them first.
"""

import json
import subprocess
import sys

import pytest
from bad_inputs import BadInput, assert_refused, table

PROGRAM = """
import json, sys
from functools import partial
import torch
from torch import nn, zeros
from neuralop.layers.spectral_convolution import SpectralConv
from monarch_core import *
from monarch_core.layers.resample import interpolation_matrix
from monarch_core.transforms import *

layer = partial(MonarchSpectralConv, 2, 2, (4, 4))
x = zeros(1, 2, 16, 16)
outcomes = {}
for expression in json.load(sys.stdin):
    try:
        eval(expression)
        outcomes[expression] = ["accepted", ""]
    except Exception as error:
        outcomes[expression] = [type(error).__name__, str(error)]
json.dump(outcomes, sys.stdout)
"""


def bad(name, expression, *says):
    def act(outcomes):
        kind, message = outcomes[expression]
        if kind == "ValueError":
            raise ValueError(message)
        raise AssertionError(f"{expression}: {kind} {message}")

    act.expression = expression
    return BadInput(name, act, says)


TRANSFORMS = [
    bad("mode above the grid", "Fourier(8, modes=[9])", "modes", "n=8, got [9]", "-4 to 4"),
    bad("mode below the grid", "Fourier(8, modes=[-5])", "got [-5]", "or take a finer grid"),
    bad("mode twice by alias", "Fourier(8, modes=[4, -4])", "[4, -4]", "of which 4 is -4 again"),
    bad("mode twice", "Dense(8, modes=[1, 1])", "modes must be distinct frequencies", "[1, 1]"),
    bad("no modes", "Fourier(8, modes=[])", "modes", "got []", "keep some of"),
    bad("mode between frequencies", "Monarch(8, modes=[1.5])", "modes", "[1.5]", "keep some of"),
    bad("one mode", "Fourier(8, modes=5)", "modes", "got 5", "keep some of"),
    bad("mode of a cosine transform", "Monarch.cosine(8, modes=[-1])", "indices", "[-1]", "0 to 7"),
    bad("mode of a Hadamard matrix", "Monarch.hadamard(8, modes=[8])", "[8]", "0 to 7"),
    bad("size a float", "Fourier(8.0)", "n must be a whole number", "got 8.0", "give"),
    bad("size negative", "Monarch(-8)", "n must be a whole number of at least 1, got -8", "give"),
    bad("size zero", "Dense(0)", "n must be", "got 0", "give the number of points"),
    bad("size a truth value", "Fourier(True)", "n must be", "got True", "give"),
    bad("flag a word", "Fourier(8, inverse='no')", "inverse must be True or False", "'no'"),
    bad("flag a number", "Monarch(8, centered=1)", "centered must be True or False, got 1"),
    bad("frozen a word", "Dense(8, frozen='yes')", "frozen must be True or False, got 'yes'"),
    bad("norm", "Fourier(8, norm='unitary')", "norm must be one of ortho, backward", "'unitary'"),
    bad(
        "start", "Monarch(8, start='wavelet')", "start must be one of fourier, cosine", "'wavelet'"
    ),
    bad("application", "Monarch(8, apply=True)", "apply must be one of auto, factored", "got True"),
    bad("heads zero", "Dense(8, heads=0)", "heads must be a whole number", "got 0", "use heads=1"),
    bad("heads a float", "Monarch(8, heads=1.5)", "heads", "got 1.5", "use heads=1"),
    bad("rank too low", "Monarch.cosine(8, rank=1)", "rank", "at least 2, got 1", "start=cosine"),
    bad("rank a float", "Monarch(8, rank=1.5)", "rank must be a whole number", "got 1.5"),
    bad("three block sizes", "Monarch(8, block_sizes=(2, 2, 2))", "(2, 2, 2)", "use one of (1, 8)"),
    bad("block sizes negative", "Monarch(8, block_sizes=(-2, -4))", "(-2, -4)", "use one of"),
    bad("block size alone", "Monarch(8, block_sizes=4)", "block_sizes=4", "use one of (1, 8)"),
    bad("half parameters", "Monarch(8, dtype=torch.float16)", "dtype must be one of torch.float32"),
    bad("integer parameters", "Dense(8, dtype=torch.int64)", "dtype must be", "got torch.int64"),
    bad("Hadamard size", "Monarch.hadamard(12)", "power of two, got n=12", "use n=8 or 16"),
    bad("input length", "Fourier(8)(zeros(3, 7))", "8 entries", "got shape (3, 7)", "build"),
    bad("input without axes", "Monarch(8)(zeros(()))", "x must have 8 entries", "got shape ()"),
    bad(
        "input without channels", "Monarch(8, heads=2)(zeros(8))", "channel axis", "(8,)", "heads=1"
    ),
]
PRODUCTS = [
    bad(
        "factor of two axes", "monarch_multiply(zeros(12), zeros(3, 4), zeros(4, 3, 3))", "L[None]"
    ),
    bad(
        "factors that do not fit",
        "monarch_dense(zeros(3, 4, 4), zeros(5, 3, 3))",
        "3 x 4 = 12 values but R",
        "(5, 3, 3)",
        "change",
    ),
    bad(
        "vector of another length",
        "monarch_multiply(zeros(11), zeros(3, 4, 4), zeros(4, 3, 3))",
        "x has shape (11,)",
        "make the last axis of x 12 long",
    ),
    bad(
        "factor without entries",
        "monarch_multiply(zeros(0), zeros(0, 4, 4), zeros(4, 0, 0))",
        "L has no entries",
        "(0, 4, 4)",
        "give it at least one",
    ),
    bad(
        "projection of integers", "project_to_monarch(torch.ones(4, 4).int())", "int32", "A.float()"
    ),
    bad("projection of NaN", "project_to_monarch(zeros(4, 4) / 0)", "NaN or infinite", "clean A"),
    bad("projection of a vector", "project_to_monarch(zeros(4))", "A must be a matrix", "(4,)"),
    bad("projection to rank 1.5", "project_to_monarch(zeros(4, 4), rank=1.5)", "rank", "got 1.5"),
    bad(
        "projection to blocks that do not divide",
        "project_to_monarch(zeros(12, 12), block_sizes=(5, 5))",
        "must divide",
        "(5, 5)",
        "use p of [1, 2, 3",
    ),
    bad(
        "projection to shapes of two axes",
        "project_to_monarch(zeros(12, 12), L_shape=(3, 4), R_shape=(4, 3, 3))",
        "L_shape=(p, s, t) must be 3 whole numbers",
        "(3, 4)",
    ),
    bad(
        "factors of no square", "factorize_mm_star(zeros(4, 6))", "(4, 6)", "use project_to_monarch"
    ),
    bad("factors of nothing", "factorize_mm_star(zeros(0, 0))", "matrix with entries", "(0, 0)"),
    bad("factors of a list", "factorize_mm_star([[1, 2], [3, 4]])", "list", "torch.as_tensor"),
    bad("factors in no try", "factorize_mm_star(zeros(4, 4), n_tries=0)", "n_tries", "got 0", "8"),
    bad(
        "factors to no tolerance",
        "factorize_mm_star(zeros(4, 4), tolerance=float('nan'))",
        "tolerance",
        "got nan",
        "use 1e-6",
    ),
    bad("circulant of a matrix", "circulant_mm_star(zeros(3, 3))", "column", "(3, 3)", "one axis"),
    bad(
        "circulant of NaN", "circulant_mm_star(zeros(4) / 0)", "column contains NaN", "clean column"
    ),
    bad("Toeplitz of NaN", "toeplitz_mm_star(zeros(4), zeros(4) / 0)", "row contains NaN", "clean"),
    bad("permutation of floats", "permutation_mm_star(zeros(3))", "0.0", "give whole numbers"),
]
LAYERS = [
    bad("no channels", "MonarchSpectralConv(0, 2, (4, 4))", "in_channels", "got 0", "count"),
    bad("channels a float", "MonarchSpectralConv(2, 2.5, 4)", "out_channels", "got 2.5", "count"),
    bad("modes of an axis zero", "MonarchSpectralConv(2, 2, (0, 4))", "n_modes", "(0, 4)", "give"),
    bad("modes negative", "MonarchSpectralConv(2, 2, (4, -4))", "n_modes", "(4, -4)", "give"),
    bad("modes of no axis", "MonarchSpectralConv(2, 2, ())", "n_modes", "got ()", "give"),
    bad("fewest and most modes", "layer(max_n_modes=(3, 2))", "[4, 3]", "[3, 2]", "max_n_modes"),
    bad("most modes of one axis", "layer(max_n_modes=(8,))", "max_n_modes must be 2", "(8,)"),
    bad("symmetry a word", "layer(enforce_hermitian_symmetry='no')", "True or False, got 'no'"),
    bad("bias a word", "layer(bias='no')", "bias must be True or False, got 'no'"),
    bad("periodic a word", "layer(periodic='no')", "periodic must be True or False, got 'no'"),
    bad("what learns", "layer(learn='all')", "learn must be one of both, forward", "got 'all'"),
    bad("name of a basis", "layer(basis='dct')", "basis must be one of fourier, cosine", "'dct'"),
    bad("grid of one number", "layer(grid=16)", "grid must be 2 whole numbers", "got 16", "give"),
    bad("grid of a float", "layer(grid=(16, 8.5))", "grid", "(16, 8.5)", "give the points"),
    bad(
        "grid too coarse", "layer(grid=(16, 2))", "2 points cannot hold 4 modes on axis 1", "finer"
    ),
    bad(
        "scaling that neuralop leaves out",
        "layer(resolution_scaling_factor=(2, 2))",
        "resolution_scaling_factor",
        "got (2, 2)",
        "give a list",
    ),
    bad("scaling to nothing", "layer(resolution_scaling_factor=0)", "got 0", "above 0"),
    bad("scaling of one axis", "layer(resolution_scaling_factor=[2.0])", "got [2.0]", "list of 2"),
    bad(
        "transform made already", "layer(transform=Monarch(8))", "transform must make", "the class"
    ),
    bad("transform none", "layer(transform=None)", "transform must make", "got None", "partial"),
    bad(
        "transform of another kind",
        "layer(transform=lambda n, **_: nn.Identity())",
        "forward transform of axis 0",
        "got one of Identity",
        "give a class such as Monarch",
    ),
    bad(
        "transform of another size",
        "layer(transform=lambda n, inverse, norm, modes: Monarch(n, inverse=inverse))",
        "forward transform of axis 0 must take 8 values to 4, got 8 to 8",
        "must use n, inverse and modes",
    ),
    bad(
        "transform centred", "layer(transform=partial(Monarch, centered=True))", "141% off", "basis"
    ),
    bad(
        "norm of a transform",
        "layer(transform=partial(Monarch, norm='backward'))",
        "Monarch is bound with norm='backward', and is called with norm='ortho'",
        "leave norm out",
    ),
    bad(
        "modes of a transform",
        "layer(transform=partial(Monarch, modes=torch.arange(3)))",
        "modes=tensor([0, 1, 2])",
        "leave modes out",
    ),
    bad(
        "inverse of a transform", "layer(transform=partial(Monarch, inverse=True))", "inverse=True"
    ),
    bad(
        "sine as cosine",
        "layer(transform=partial(Monarch, start='sine', rank=2), basis='cosine')",
        "forward transform of axis 0 is not that of basis='cosine'",
        "name the basis",
    ),
    bad(
        "Hadamard as Fourier",
        "MonarchSpectralConv(2, 2, 4, transform=partial(Monarch, start='hadamard'))",
        "basis='fourier'",
        "basis=None",
    ),
    bad(
        "random as Fourier",
        "layer(transform=partial(Monarch, start='random'))",
        "'fourier'",
        "basis",
    ),
    bad(
        "heads of channels", "layer(transform=partial(Monarch, heads=3))", "heads=3 and 2", "change"
    ),
    bad("axes of the fields", "layer()(zeros(1, 2, 16))", "2 axes", "(1, 2, 16)", "bring the axes"),
    bad("channels of the fields", "layer()(zeros(1, 3, 16, 16))", "2 channels", "(1, 3, 16, 16)"),
    bad("fields without points", "layer()(zeros(1, 2, 16, 0))", "at least one point", "16, 0)"),
    bad("double fields", "layer()(x.double())", "x: torch.float64", "x.to(torch.float32)"),
    bad(
        "half fields", "layer()(x.half())", "x must be of the dtype", "x: torch.float16", "autocast"
    ),
    bad("complex fields", "layer()(x.cfloat())", "real numbers", "x: torch.complex64", "two"),
    bad("integer fields", "layer()(x.long())", "x must be of the dtype", "x: torch.int64"),
    bad("output of one axis", "layer()(x, output_shape=(8,))", "output_shape must be 2", "(8,)"),
    bad(
        "output without points", "layer()(x, output_shape=(8, 0))", "output_shape", "(8, 0)", "give"
    ),
    bad(
        "another grid without a basis",
        "layer(basis=None, grid=(8, 8), transform=partial(Monarch, start='hadamard'))(x)",
        "basis=None works on the grid it is made for alone, got 16",
        "bring the fields to its grid",
    ),
    bad(
        "weight of another shape",
        "layer().copy_weight(torch.ones(1, 1, 1, 1).cfloat())",
        "(2, 2, 4, 3)",
        "(1, 1, 1, 1)",
        "take it from a layer",
    ),
    bad(
        "more modes later", "setattr(layer(), 'n_modes', (8, 8))", "[8, 5]", "[4, 3]", "keep fewer"
    ),
    bad("no option", "MonarchSpectralConv.configured(gridd=(8, 8))", "'gridd'", "options are"),
    bad(
        "not for it to bind",
        "MonarchSpectralConv.configured(n_modes=8)",
        "'n_modes'",
        "options are",
    ),
    bad("linear without inputs", "MonarchLinear(0, 4)", "in_features", "got 0"),
    bad("blocks a float", "MonarchLinear(8, 8, 2.0)", "n_blocks must be a whole number", "got 2.0"),
    bad("linear of integers", "MonarchLinear(8, 8, dtype=torch.int64)", "torch.int64", "use torch"),
    bad(
        "linear of double fields", "MonarchLinear(8, 8)(zeros(8).double())", "float64", "x.to(torch"
    ),
    bad("linear of complex fields", "MonarchLinear(8, 8)(zeros(8).cfloat())", "give the layer as"),
    bad(
        "complex linear of real fields",
        "MonarchLinear(8, 8, dtype=torch.cfloat)(zeros(8))",
        "give x.to(torch.com",
    ),
    bad("linear of another length", "MonarchLinear(8, 8)(zeros(3, 7))", "in_features=8", "(3, 7)"),
    bad("blocks of a swap", "monarchize(nn.GELU(), n_blocks=0)", "n_blocks", "got 0"),
    bad(
        "layer of another name",
        "monarchize(nn.Sequential(nn.Linear(8, 8), nn.GELU()), include='linear.*')",
        "include='linear.*' matches no layer",
        "nearest names are 0",
    ),
    bad("no name", "exchange_linear(nn.Sequential(nn.Linear(8, 8)), print, exclude=[3])", "got 3"),
    bad("no layers to name", "monarchize(nn.GELU(), include='0')", "there is no such layer"),
    bad(
        "a layer that says too little",
        "exchange_linear(nn.Sequential(nn.Linear(8, 8)), lambda linear: nn.GELU())",
        "make returned a GELU for 0",
        "such as MonarchLinear, or None",
    ),
    bad("a layer by itself", "exchange_linear(nn.Linear(8, 8), print)", "Linear itself", "give"),
    bad(
        "projections that do not fit",
        "exchange_linear(nn.Sequential(nn.Linear(8, 8)), print, fused={'0': 3})",
        "8 outputs does not hold 3",
        "leave its name out",
    ),
    bad("no adapters", "add_monarch_adapters(nn.Linear(2, 2))", "n_blocks=4", "use fewer blocks"),
    bad("rank of adapters", "add_monarch_adapters(nn.GELU(), rank=0)", "rank", "got 0", "rank=4"),
    bad("blocks of adapters", "add_monarch_adapters(nn.GELU(), 2.0)", "n_blocks", "got 2.0"),
    bad(
        "to learn beside adapters",
        "add_monarch_adapters(nn.Linear(8, 8), also_learn='bais')",
        "also_learn='bais'",
        "nearest names are bias",
    ),
    bad(
        "bias left out of a swap",
        "monarchize(SpectralConv(2, 2, 4), conv_module=MonarchSpectralConv.configured(bias=False))",
        "is bound with bias=False, and is called with bias=True",
        "leave bias out",
    ),
    bad(
        "bias bound to be left out of a swap",
        "monarchize(SpectralConv(2, 2, 4), conv_module=partial(MonarchSpectralConv, bias=False))",
        "MonarchSpectralConv is bound with bias=False, and is called with bias=True",
        "leave bias out",
    ),
    bad(
        "swap for what it is",
        "monarchize(SpectralConv(2, 2, 4), conv_module=SpectralConv)",
        "conv_module must make a MonarchSpectralConv",
        "SpectralConv",
        "configured",
    ),
    bad(
        "interpolation from nothing", "interpolation_matrix(0, 8, 'sine')", "points of a grid", "0"
    ),
]
SOUND = [
    "Fourier(8, modes=[4, -3, 0])",
    "Fourier(8, modes=[-4, 3])",
    "Fourier(9, modes=range(-4, 5), centered=True)",
    "Fourier(torch.tensor(9).item(), modes=torch.arange(3))",
    "Fourier(8)(zeros(3, 8))",
    "Fourier(8)(zeros(3, 8).half())",
    "Monarch(7, modes=[3, -3])(zeros(7).int())",
    "Monarch.cosine(9, modes=range(9))",
    "Monarch.random(9, modes=[8, 0], block_sizes=[3, 3], rank=2)",
    "Monarch(1)(zeros(4, 1))",
    "monarch_multiply(torch.ones(12).int(), torch.ones(3, 4, 4), torch.ones(4, 3, 3).cfloat())",
    "project_to_monarch(1e30 * torch.ones(4, 6))",
    "circulant_mm_star(torch.arange(6))",
    "MonarchLinear(5, 3, 3, dtype=torch.bfloat16)",
    "MonarchSpectralConv(1, 1, 1)(zeros(2, 1, 1))",
    "MonarchSpectralConv(2, 3, [5, 7], grid=[9, 15])(zeros(1, 2, 9, 15), output_shape=[11, 8])",
    "layer(max_n_modes=(6, 5), resolution_scaling_factor=0.5)(x)",
    "layer(factorization='Dense', transform=Dense)(x[:, :, :3, :2])",
    "layer(transform=partial(Monarch, start='cosine', heads=2), basis='cosine')(x[..., ::2])",
    "monarchize(nn.Sequential(nn.Linear(8, 8), nn.GELU()), include='0', exclude='?')",
    "exchange_linear(nn.Sequential(nn.Linear(8, 8)), lambda linear: None, include=['*'])",
    "merge_adapters(add_monarch_adapters(nn.Linear(8, 9), 5, 7))",
    "monarchize(SpectralConv(2, 2, 4), conv_module=partial(MonarchSpectralConv, grid=[9]))",
]


@pytest.fixture(scope="module")
def outcomes():
    expressions = [case.act.expression for case in (*TRANSFORMS, *PRODUCTS, *LAYERS)] + SOUND
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        input=json.dumps(expressions),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@table(*TRANSFORMS)
def test_transforms_refuse(case, outcomes):
    assert_refused(case, outcomes)


@table(*PRODUCTS)
def test_products_and_factors_refuse(case, outcomes):
    assert_refused(case, outcomes)


@table(*LAYERS)
def test_layers_refuse(case, outcomes):
    assert_refused(case, outcomes)


@pytest.mark.parametrize("expression", SOUND)
def test_sound_inputs_are_accepted(expression, outcomes):
    assert outcomes[expression] == ["accepted", ""]
