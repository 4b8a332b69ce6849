"""Generators of PDE data that are asked for too much."""

import io

from bad_inputs import BadInput, assert_refused, table
from rich.console import Console

from data_scripts.recipe import produce
from pde.config.dataset import BurgersConfig, DarcyConfig, NavierStokesConfig
from pde.dataset.splits import load_splits

CONFIGS = (BurgersConfig, DarcyConfig, NavierStokesConfig)


def made(config):
    return produce(config, Console(file=io.StringIO()))


def left_over(config):
    """Put something into the folder that is to be made."""
    config.folder.mkdir(parents=True)
    (config.folder / "notes.txt").touch()
    made(config)


GENERATORS = tuple(
    case
    for kind in CONFIGS
    for case in (
        BadInput(
            f"too many samples of {kind.__name__}",
            lambda p, k=kind: made(k(n_train=10**10, data_dir=str(p))),
            ("n_train=10000000000", "GB on disk", "GB in memory", "fewer samples"),
        ),
        BadInput(
            f"too many samples of {kind.__name__} to train on",
            lambda p, k=kind: load_splits(k(n_train=10**10, data_dir=str(p))),
            ("n_train=10000000000", "GB of memory", "lower n_train"),
        ),
        BadInput(
            f"a folder of something else for {kind.__name__}",
            lambda p, k=kind: left_over(k(data_dir=str(p))),
            ("holds files but no metadata.yaml", "delete it"),
        ),
    )
) + tuple(
    BadInput(
        f"a solver of too many points for {kind.__name__}",
        lambda p, k=kind: made(k(solver_grid=2**30, data_dir=str(p))),
        (str(n_points), "GB of memory", "lower solver_grid or batch_size"),
    )
    for kind, n_points in ((BurgersConfig, 2**30), (NavierStokesConfig, 2**60))
)


@table(*GENERATORS)
def test_generators_refuse_before_they_write(case, tmp_path):
    assert_refused(case, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name != "notes.txt" and path.is_file()]
    assert not list(tmp_path.glob("*.partial"))
