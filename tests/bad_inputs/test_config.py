"""Values of a config that cannot be meant, from the command line and from a stored run."""

from pathlib import Path

from bad_inputs import BadInput, assert_refused, table
from omegaconf import OmegaConf
from pde_configs import composed, config_of

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.machine import require_memory
from monarch_core.runs.plain_files import read_yaml
from monarch_core.runs.schema import load_config, save_config, to_dataclass
from monarch_core.runs.start import run_to_read
from monarch_core.training.config import FitConfig
from monarch_core.training.devices import check_threads
from monarch_core.training.start import start_run
from monarch_core.training.transform_config import TransformConfig
from mri.config.run import MriConfig
from pde.config.run import PdeConfig
from pde.dataset.splits import load_splits
from pde.models import check_model


def mri(*overrides):
    return to_dataclass(composed("mri", *overrides), MriConfig)


def train_pde(*overrides):
    """What pde/train.py does before it makes data."""
    check_model(config_of(*overrides))


def pde(name, overrides, *says):
    return BadInput(name, lambda: train_pde(*overrides.split()), says)


def of_mri(name, overrides, *says):
    return BadInput(name, lambda: mri(*overrides.split()), says)


def fit(name, says, **values):
    return BadInput(name, lambda: FitConfig(**values), says)


@table(
    fit("epochs beyond count", ("fit.epochs", "1000000", f"got {10**12}"), epochs=10**12),
    fit("no epoch", ("fit.epochs", "from 1", "got 0"), epochs=0),
    fit("batch beyond count", ("fit.batch_size", "1000000", f"got {10**9}"), batch_size=10**9),
    fit("threads beyond count", ("fit.n_threads", "1 to 1024", "got 1000000"), n_threads=10**6),
    fit("workers beyond count", ("fit.num_workers", "0 to 1024", "got 5000"), num_workers=5000),
    fit("devices beyond count", ("fit.devices", "1000000"), devices=10**30),
    fit("a negative step", ("fit.step_epochs", "from 1", "got -5"), step_epochs=-5),
    fit("a rate that is no number", ("fit.learning_rate", "nan"), learning_rate=float("nan")),
    pde("epochs from the command line", "fit.epochs=1000000000000", "fit.epochs", "1000000"),
    BadInput(
        "frames beyond memory",
        lambda: load_splits(config_of("dataset.n_train=10000000000").dataset),
        ("n_train=10000000000", "GB", "lower n_train"),
    ),
    pde("a grid beyond memory", "dataset.grid=1048576", "1099511627776 points", "GB"),
    pde("channels beyond memory", "model.hidden_channels=1000000", "hidden_channels=1000000", "GB"),
    pde("channels beyond count", "model.hidden_channels=100000000000", "model.hidden_channels"),
    pde("layers beyond count", "model.n_layers=1000000", "model.n_layers", "1 to 1024"),
    pde("modes beyond the grid", "model.n_modes=500000", "model.n_modes=500000", "finer grid"),
    pde("no mode", "model.n_modes=0", "model.n_modes", "from 1", "got 0"),
    pde("heads beyond count", "transform.heads=1000000000", "transform.heads", "1 to 1024"),
    pde("heads that share nothing", "transform.heads=3", "model.hidden_channels", "20 channels"),
    pde(
        "heads of gates",
        "model=monarch_no transform.heads=4 model.gate_channels=9",
        "twice model.gate_channels",
        "18 channels",
    ),
    pde("no head", "transform.heads=0", "transform.heads", "from 1", "got 0"),
    pde("blocks of another size", "transform.block_sizes=[3,5]", "block_sizes", "(4, 8)"),
    pde("one block size", "transform.block_sizes=[32]", "transform.block_sizes", "two whole"),
    pde("a negative block", "transform.block_sizes=[-4,-8]", "transform.block_sizes", "from 1"),
    pde("a rank below the start", "transform=monarch_sine transform.rank=1", "rank 2", "got 1"),
    pde("an unknown start", "transform.start=wavelet", "transform.start", "cosine", "'wavelet'"),
    pde("an unknown kind", "transform.kind=butterfly", "transform.kind", "dense", "'butterfly'"),
    pde("an unknown part", "transform.learn=all", "transform.learn", "forward", "'all'"),
    pde("heads of the FFT", "transform=fft transform.heads=4", "no option heads", "heads=4"),
    pde("a start of the FFT", "transform=fft transform.start=sine", "no option start"),
    pde("a learned FFT", "transform=fft transform.learn=none", "no option learn", "leave it out"),
    pde("a rank of dense", "transform=dense transform.rank=2", "no option rank"),
    pde("a Monarch called fft", "transform.name=fft", "transform.name=fft", "kind=monarch"),
    pde("an FFT of another name", "transform=fft transform.name=dft", "transform.name=dft"),
    pde("no transform", "~transform", "transform.name has no value"),
    pde("a key of old", "+transform.axis.heads=4", "unknown config key transform.axis"),
    pde("a key of no use", "+nothing=1", "unknown config key nothing", "known here"),
    pde("a key of a part", "+model.nothing=1", "unknown config key model.nothing"),
    pde("a misspelt key", "++fit.epoch=3", "unknown config key fit.epoch", "fit.epochs"),
    of_mri("a key of mri", "+dataset.rot=x", "unknown config key dataset.rot", "dataset.root"),
    pde("grids beyond count", "evaluation.grids=[64,10000000]", "evaluation.grids", "10000000"),
    pde("grids of no use", "evaluation.grids=[2]", "evaluation.grids", "from 4", "[2]"),
    pde("a list in a list", "evaluation.grids=[[64]]", "evaluation.grids", "[[64]]"),
    pde("a seed beyond its bits", "seed=4294967296", "seed", "4294967295", "got 4294967296"),
    pde("a negative seed", "seed=-1", "seed must be from 0", "got -1"),
    pde("a fraction above one", "teacher_forcing=1.5", "teacher_forcing", "0 to 1", "1.5"),
    pde("a fraction that is none", "teacher_forcing=nan", "teacher_forcing", "nan"),
    pde("a grid of nothing", "dataset.test_grid=0", "test_grid", "at least 4", "got 0"),
    pde("a solver on nothing", "dataset.solver_grid=0", "solver_grid", "at least 4", "got 0"),
    of_mri("an unknown model", "model.name=senes", "sense, cg_sense", "'senes'"),
    of_mri("an unknown weighting", "model.weighting=phase", "diagonal", "'phase'"),
    of_mri("another model", "model.name=unet", "those of sense", "model.name=unet"),
    of_mri("options of another", "+model.n_cascades=3", "unknown config key model.n_cascades"),
    of_mri("a misspelt option", "model=unrolled +model.n_cascade=3", "mean model.n_cascades"),
    of_mri(
        "unknown consistency",
        "model=unrolled model.data_consistency=newton",
        "gradient, cg",
        "'newton'",
    ),
    of_mri("no candidate", "model=cg_sense model.candidates=[]", "at least one"),
    of_mri(
        "a candidate below 0", "model=cg_sense model.candidates=[0.1,-1]", "model.candidates", "-1"
    ),
    of_mri(
        "a candidate that is none",
        "model=cg_sense model.candidates=[nan]",
        "model.candidates",
        "nan",
    ),
    of_mri("no cascade", "model=unrolled model.n_cascades=0", "model.n_cascades", "from 1"),
    of_mri(
        "cascades beyond count",
        "model=unrolled model.n_cascades=100000",
        "model.n_cascades",
        "1024",
    ),
    of_mri("channels of a U-Net", "model=unet model.n_channels=1000000", "1 to 65536"),
    of_mri("poolings beyond count", "model=unet model.n_pools=64", "model.n_pools", "1 to 32"),
    of_mri("no heads", "transform.heads=0", "transform.heads", "from 1"),
    of_mri("nothing that learns", "transform.learn=forward", "model=sense", "learn=inverse"),
    of_mri("a recipe of no data set", "dataset.recipe.name=os", "phantom", "'os'"),
    of_mri("a seed below 0", "seed=-1", "seed must be from 0", "got -1"),
)
def test_values_that_cannot_be_meant(case):
    assert_refused(case)


@table(
    BadInput(
        "more threads than cores",
        lambda: check_threads(FitConfig(n_threads=999)),
        ("fit.n_threads is 999", "2 cores", "at most 64"),
    ),
    BadInput(
        "more workers than cores",
        lambda: check_threads(FitConfig(num_workers=65)),
        ("fit.num_workers is 65", "2 cores", "at most 64"),
    ),
    BadInput(
        "more memory than there is",
        lambda: require_memory({"small things": 1.0, "the fields": 1e18}, "use fewer"),
        ("the fields", "1e+09 GB", "use fewer"),
    ),
)
def test_what_this_machine_cannot_do(case, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert_refused(case)


def evaluate(**values):
    run_to_read(OmegaConf.create(values))


def config_file(folder: Path, content: str) -> Path:
    (folder / "config.yaml").write_text(content)
    return folder


@table(
    BadInput("no run", lambda _: evaluate(), ("run has no value", "run=runs/")),
    BadInput("an empty run", lambda _: evaluate(run=""), ("run has no value", "run=runs/")),
    BadInput("no folder", lambda d: load_config(d / "x", PdeConfig), ("x/config.yaml", "train.py")),
    BadInput(
        "a file for a folder",
        lambda d: load_config(config_file(d, "a: 1") / "config.yaml", PdeConfig),
        ("config.yaml/config.yaml does not exist", "is not a run folder"),
    ),
    BadInput(
        "resume of nothing",
        lambda d: start_run(OmegaConf.create({"resume": str(d / "x")}), PdeConfig),
        ("x/config.yaml does not exist", "train.py"),
    ),
    BadInput(
        "a config that is no mapping",
        lambda d: load_config(config_file(d, "- 1"), PdeConfig),
        ("config.yaml holds no config", "from a copy"),
    ),
    BadInput(
        "a config of the other task",
        lambda d: (save_config(d, mri()), load_config(d, PdeConfig)),
        ("config.yaml", "dataset.name must be one of", "mri_phantom"),
    ),
    BadInput(
        "a number beyond all",
        lambda d: load_config(config_file(d, f"seed: {10**300}"), PdeConfig),
        ("config.yaml",),
    ),
    BadInput(
        "an override that is none",
        lambda d: (
            (d / ".hydra").mkdir(),
            (d / ".hydra/overrides.yaml").write_text("[[1]]"),
            RunFolder(d).started_with(),
        ),
        ("overrides.yaml is no list of overrides", "from a copy"),
    ),
    BadInput("no YAML file", lambda d: read_yaml(d), ("does not exist or is no file",)),
    BadInput(
        "a value that could not be read again",
        lambda d: save_config(d, TransformConfig("${oc.env:HOME}")),
        ("name", "'${oc.env:HOME}'", "plain values"),
    ),
)
def test_run_folders_that_are_none(case, tmp_path):
    assert_refused(case, tmp_path)
