"""Generators of PDE data that are asked for too much."""

import io

from bad_inputs import BadInput, assert_refused, table
from rich.console import Console

from data_scripts.pde import burgers as burgers_script
from data_scripts.pde import darcy as darcy_script
from data_scripts.pde import navier_stokes as navier_stokes_script
from pde.config.dataset import BurgersConfig, DarcyConfig, NavierStokesConfig
from pde.dataset.splits import load_splits

SCRIPTS = (
    (burgers_script, BurgersConfig),
    (darcy_script, DarcyConfig),
    (navier_stokes_script, NavierStokesConfig),
)


def left_over(script, config):
    """Put something into the folder that is to be made."""
    config.folder.mkdir(parents=True)
    (config.folder / "notes.txt").touch()
    script.generate(config, Console(file=io.StringIO()))


GENERATORS = tuple(
    case
    for script, kind in SCRIPTS
    for case in (
        BadInput(
            f"too many samples of {kind.__name__}",
            lambda p, s=script, k=kind: s.generate(
                k(n_train=10**10, data_dir=str(p)), Console(file=io.StringIO())
            ),
            ("n_train=10000000000", "GB on disk", "GB in memory", "fewer samples"),
        ),
        BadInput(
            f"too many samples of {kind.__name__} to train on",
            lambda p, k=kind: load_splits(k(n_train=10**10, data_dir=str(p))),
            ("n_train=10000000000", "GB of memory", "lower n_train"),
        ),
        BadInput(
            f"a folder of something else for {kind.__name__}",
            lambda p, s=script, k=kind: left_over(s, k(data_dir=str(p))),
            ("holds files but no metadata.yaml", "delete it"),
        ),
    )
) + tuple(
    BadInput(
        f"a solver of too many points for {kind.__name__}",
        lambda p, s=script, k=kind: s.generate(
            k(solver_grid=2**30, data_dir=str(p)), Console(file=io.StringIO())
        ),
        (str(n_points), "GB of memory", "lower solver_grid or batch_size"),
    )
    for script, kind, n_points in (
        (burgers_script, BurgersConfig, 2**30),
        (navier_stokes_script, NavierStokesConfig, 2**60),
    )
)


@table(*GENERATORS)
def test_generators_refuse_before_they_write(case, tmp_path):
    assert_refused(case, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name != "notes.txt" and path.is_file()]
    assert not list(tmp_path.glob("*.partial"))
