"""What a start leaves in folders that are not, or not yet, its own."""

import pytest
from failing_script import run_starts, write_script

MINE = {"notes": "mine", "script.log": "of another start"}


def fill(folder, **files):
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """Run the script with several command lines; return the folder and their outcomes."""
    folder = tmp_path_factory.mktemp("script")
    write_script(folder)
    fill(folder / "mine", **{"config.yaml": "lr: 3\n"})
    fill(folder / "kept", **MINE)
    fill(folder / "hydra" / ".hydra", notes="mine")
    commands = {
        "refused": ["fails=value"],
        "weights": ["fails=weights", "hydra.run.dir=weights"],
        "config": ["hydra.run.dir=mine"],
        "defect": ["fails=bug", "hydra.run.dir=run"],
        "mended": ["seed=3", "hydra.run.dir=run"],
        "resumed": ["resume=run", "hydra.run.dir=kept"],
        "resumed_by_default": ["resume=run"],
        "subdir": ["resume=run", "hydra.run.dir=hydra", "hydra.output_subdir=.hydra"],
    }
    return folder, run_starts(folder, commands)


@pytest.mark.parametrize("name", ["refused", "weights"])
def test_a_refused_start_leaves_no_folder(starts, name):
    folder, outcomes = starts
    assert outcomes[name][0] == 1
    assert "Error: " in outcomes[name][2]
    assert not (folder / "weights").exists()
    assert not (folder / "runs").exists()  # of runs/single, which hydra chose


def test_a_config_that_is_of_no_run_is_not_written_over(starts):
    folder, outcomes = starts
    code, _, errors = outcomes["config"]
    assert code == 1
    assert "mine/config.yaml is not the config of a run like this one" in errors
    assert "hydra.run.dir=FOLDER, or move the file away" in errors
    assert texts(folder / "mine") == {"config.yaml": "lr: 3\n"}


def test_a_folder_of_an_attempt_that_failed_is_free_for_the_next(starts):
    folder, outcomes = starts
    assert outcomes["defect"][0] == 1
    assert outcomes["mended"][::2] == [0, ""]
    assert "seed: 3" in (folder / "run/config.yaml").read_text()


def test_a_resumed_run_leaves_the_log_of_another(starts):
    folder, outcomes = starts
    for name in ("resumed", "resumed_by_default", "subdir"):
        assert outcomes[name][::2] == [0, ""], outcomes[name]
    assert texts(folder / "kept") == MINE
    assert (folder / "run/script.log").read_text().count("at work") == 5  # with the defect's
    assert not (folder / "runs").exists()
    assert texts(folder / "hydra/.hydra") == {"notes": "mine"}
