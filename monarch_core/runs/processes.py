"""The processes that work on one run together, as their launcher describes them."""

import multiprocessing
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """The processes of one run, as the launcher (torchrun or srun) started them.

    Attributes:
        rank: number of this process, 0 for the one that writes files.
        n: processes on all nodes.
        n_local: processes on this node.
    """

    rank: int
    n: int
    n_local: int


def processes() -> Processes:
    """Return what the environment says; one process when no launcher is at work."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        return Processes(int(env["RANK"]), int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"]))
    if "SLURM_STEP_ID" in env and int(env.get("SLURM_NTASKS", 1)) > 1:
        n = int(env["SLURM_NTASKS"])
        return Processes(int(env["SLURM_PROCID"]), n, n // int(env["SLURM_NNODES"]))
    return Processes(rank=0, n=1, n_local=1)


def is_main_process() -> bool:
    """Tell whether this process is the one that writes files."""
    return processes().rank == 0


def start_processes_as_usual() -> None:
    """Let a job of a sweep start processes, for data and for loading them, as it would by itself.

    In a job of hydra's joblib launcher they would be of loky, which what is started does not know.
    """
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method(None, force=True)
