"""Every file under `configs/` composes and fits the schema of a task."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from monarch_core.runs.schema import to_dataclass
from mri.config.run import MriConfig
from pde.config.run import PdeConfig

CONFIGS = Path(__file__).parents[1] / "configs"
SCHEMAS = {"pde": PdeConfig, "mri": MriConfig}
PDE_MODELS = {
    "fno",
    "fno_1d",
    "fno_3d",
    "fno_fast",
    "fno_neuralop",
    "fno_paper_script",
    "monarch_no",
    "pde_unet",
    "resnet",
    "tf_net",
}


def files(group):
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def task_of(group, name):
    if group == "dataset":
        return "mri" if name.startswith("mri_") else "pde"
    if group == "model":
        return "pde" if name in PDE_MODELS else "mri"
    return "mri" if "mri" in name else "pde"


CASES = [
    *((task, "transform", name) for task in SCHEMAS for name in files("transform")),
    *(
        (task_of(group, name), group, name)
        for group in ("dataset", "model", "experiment")
        for name in files(group)
    ),
]


@pytest.mark.parametrize(("task", "group", "name"), CASES)
def test_every_file_composes(task, group, name):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        raw = compose(task, overrides=[f"{group}={name}"])
    config = to_dataclass(raw, SCHEMAS[task])
    if group in ("dataset", "transform"):
        assert getattr(config, group).name.split("_")[0] == name.split("_")[0]


@pytest.mark.parametrize(("task", "dataset"), [("pde", "mri_phantom"), ("mri", "navier_stokes")])
def test_a_data_set_of_the_other_task_is_refused(task, dataset):
    with (
        initialize_config_dir(str(CONFIGS), version_base="1.3"),
        pytest.raises(Exception, match=rf"dataset must be|{dataset}|not in"),
    ):
        to_dataclass(compose(task, overrides=[f"dataset={dataset}"]), SCHEMAS[task])
