"""Every file under `configs/` composes, and fits the schema of its application."""

import pytest
from pde_configs import CONFIGS, composed

from monarch_core.runs.schema import to_dataclass
from mri.config.run import MriConfig
from pde.config.run import PdeConfig
from sparse.config.run import SparseConfig

SCHEMAS = {"pde": PdeConfig, "mri": MriConfig, "sparse": SparseConfig}
GROUPS = {
    "pde": ("dataset", "model", "transform", "experiment"),
    "mri": ("dataset", "model", "transform", "experiment"),
    "sparse": ("dataset", "model", "weight", "experiment"),
}
# What goes with a choice that the other defaults do not fit.
BESIDE = {
    ("mri", "transform", "calibrated"): ["calibration=runs/a_scanner"],
    ("sparse", "dataset", "mnist"): ["model=vit"],
    ("sparse", "dataset", "image_folder"): ["model=vit"],
    ("sparse", "dataset", "glue"): ["model=bert"],
    ("sparse", "model", "vit"): ["dataset=mnist"],
    ("sparse", "model", "mixer"): ["dataset=mnist"],
}


def files(task, group):
    folder = CONFIGS if group == "transform" else CONFIGS / task
    return sorted(path.stem for path in (folder / group).glob("*.yaml"))


CASES = [
    (task, group, name)
    for task, groups in GROUPS.items()
    for group in groups
    for name in files(task, group)
]


MRI_SCRIPTS = ("calibrate", "evaluate", "reconstruct")


def test_no_file_is_left_out():
    shared = {"export.yaml", "pde/evaluate.yaml", "sparse/evaluate.yaml"}
    of_groups = {
        f"{'' if group == 'transform' else f'{task}/'}{group}/{name}.yaml"
        for task, group, name in CASES
    }
    found = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.*")}
    trains = {f"{task}/train.yaml" for task in SCHEMAS}
    others = {"pde/diagnose.yaml", *(f"mri/{name}.yaml" for name in MRI_SCRIPTS)}
    assert found == {*shared, *of_groups, *trains, *others}


@pytest.mark.parametrize(("task", "group", "name"), CASES)
def test_every_file_composes(task, group, name):
    beside = BESIDE.get((task, group, name), [])
    config = to_dataclass(composed(task, f"{group}={name}", *beside), SCHEMAS[task])
    if group in ("dataset", "transform", "weight"):
        assert getattr(config, group).name.split("_")[0] == name.split("_")[0]


@pytest.mark.parametrize(("task", "dataset"), [("pde", "mri_phantom"), ("mri", "navier_stokes")])
def test_a_data_set_of_the_other_task_is_refused(task, dataset):
    with pytest.raises(Exception, match=f"Could not find 'dataset/{dataset}'"):
        composed(task, f"dataset={dataset}")


@pytest.mark.parametrize("plus", ["", "+"])
@pytest.mark.parametrize("task", SCHEMAS)
def test_an_unknown_experiment_lists_those_there_are(task, plus):
    with pytest.raises(Exception, match=r"no_such|override experiment") as caught:
        composed(task, f"{plus}experiment=no_such")
    if not plus:
        said = set(str(caught.value).split())
        other = next(iter(SCHEMAS.keys() - {task}))
        assert set(files(task, "experiment")) <= said
        assert not (set(files(other, "experiment")) - set(files(task, "experiment"))) & said


@pytest.mark.parametrize(
    ("task", "group"), [(task, group) for task, groups in GROUPS.items() for group in groups]
)
def test_no_group_takes_a_name_that_is_none(task, group):
    with pytest.raises(Exception, match="no_such"):
        composed(task, f"{group}=no_such")
