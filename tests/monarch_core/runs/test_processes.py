"""How many processes work on a run, as the environment has them."""

import pytest

from monarch_core.runs.processes import Processes, is_main_process, processes


def test_a_plain_start_is_one_process():
    assert processes() == Processes(rank=0, n=1, n_local=1)
    assert is_main_process()


@pytest.mark.parametrize(
    "variables",
    [
        {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "2"},
        {"SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "6", "SLURM_NNODES": "3"},
    ],
    ids=["torchrun", "srun"],
)
def test_launchers_are_recognised(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes() == Processes(rank=3, n=6, n_local=2)
    assert not is_main_process()


def test_a_batch_job_that_starts_python_itself_is_one_process(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert processes().n == 1
