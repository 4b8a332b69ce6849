"""What a kill -9 at a random moment costs: `python -m benchmarks.kills moments=30`.

Every job is done twice without disturbance, then once for every moment: started, killed at that
moment, and started again as a user would. It must end with the same bits, and do nothing again that
was finished. Options are key=value:

    python -m benchmarks.kills out=runs/kills moments=30 jobs=pde,mri,burgers,mri_phantom seed=0
"""

import importlib
import logging
import os
import random
import re
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_scripts.command_line import config_from_arguments
from monarch_core.runs.folder import RunFolder
from monarch_core.training.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
# What the jobs import, before the first fork, so that a start costs no more than its work.
JOB_MODULES = (
    "data_scripts.pde.burgers",
    "data_scripts.mri.phantom",
    "pde.evaluate",
    "mri.evaluate",
)

BURGERS = [
    "n_train=12",
    "n_valid=4",
    "n_test=4",
    "stored_grid=64",
    "solver_grid=256",
    "n_workers=1",
]
PHANTOM = [
    "n_train=4",
    "n_valid=2",
    "n_test=2",
    "n_slices=2",
    "height=36",
    "width=28",
    "n_coils=3",
    "n_workers=1",
]
FIT = ["fit.epochs=12", "fit.n_threads=1", "fit.accelerator=cpu"]


@dataclass
class Options:
    """What to kill.

    Attributes:
        out: folder of the work; emptied before.
        moments: kills of each job.
        jobs: names of jobs, separated by commas.
        seed: of the moments.
    """

    out: str = "runs/kills"
    moments: int = 30
    jobs: str = "pde,mri,burgers,mri_phantom"
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown job or a number of moments that is none."""
        unknown = [name for name in self.names if name not in JOBS]
        if unknown:
            raise ValueError(f"jobs must be among {', '.join(JOBS)}, got {', '.join(unknown)}")
        if self.moments < 1:
            raise ValueError(f"moments must be at least 1, got {self.moments}")

    @property
    def names(self) -> list[str]:
        """The jobs, one by one."""
        return self.jobs.split(",")


@dataclass(frozen=True)
class Job:
    """Something that takes a while and may be killed.

    Attributes:
        words: given a folder, the command that starts it there or goes on with it.
        finished: given the folder, what is finished; nothing of it is to be done again.
        result: given the folder, what it made, to be compared.
    """

    words: Callable[[Path], list[str]]
    finished: Callable[[Path], list[Any]]
    result: Callable[[Path], Any]


def _training(script: str, *overrides: str) -> Job:
    return Job(
        lambda folder: [script, *overrides, *FIT, f"hydra.run.dir={folder / 'run'}"],
        _finished_epochs,
        _trained,
    )


def _finished_epochs(folder: Path) -> list[Any]:
    """Return the log lines of the epochs in the checkpoint, which tell how long each took."""
    run = RunFolder(folder / "run")
    return run.log.read()[: load_checkpoint(run.checkpoint)["epoch"]] if run.can_resume else []


def _trained(folder: Path) -> Any:
    run = RunFolder(folder / "run")
    weights = torch.load(run.weights, weights_only=True)
    last = load_checkpoint(run.checkpoint)["model"]
    metrics = run.read_results()["metrics"]
    tensors = [
        [name, str(x.dtype), x.tolist()] for part in (weights, last) for name, x in part.items()
    ]
    leftovers = [path.name for path in run.path.iterdir() if path.suffix == ".tmp"]
    return [tensors, {k: v for k, v in metrics.items() if "milliseconds" not in k}, leftovers]


def _generated(folder: Path) -> Any:
    """Return the bytes of all files but the lock, which stays."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.suffix not in (".lock", ".txt")
    }


def _finished_batches(folder: Path) -> list[Any]:
    return sorted(path.name for path in folder.rglob("parts/*.npz"))


def _finished_scans(folder: Path) -> list[Any]:
    return sorted((path.name, path.stat().st_mtime_ns) for path in folder.rglob("*.h5"))


JOBS = {
    "pde": _training(
        "pde/train.py",
        "dataset=burgers",
        "model=fno_1d",
        "model.n_modes=5",
        "model.hidden_channels=8",
        "dataset.data_dir={data}/burgers",
        "dataset.grid=64",
        *(f"dataset.{word}" for word in BURGERS),
        "fit.batch_size=4",
    ),
    "mri": _training(
        "mri/train.py",
        "dataset.root={data}/mri_phantom/scans",
        "dataset.mask=random",
        "fit.batch_size=2",
    ),
    "burgers": Job(
        lambda folder: [
            "data_scripts/pde/burgers.py",
            f"data_dir={folder}",
            "batch_size=2",
            *BURGERS,
        ],
        _finished_batches,
        _generated,
    ),
    "mri_phantom": Job(
        lambda folder: ["data_scripts/mri/phantom.py", "out=scans", *PHANTOM],
        _finished_scans,
        _generated,
    ),
}
NEEDS = {"pde": "burgers", "mri": "mri_phantom"}  # data of the trainings


def start(job: Job, folder: Path, data: Path) -> int:
    """Start a job, or go on with it, in a forked process; return its id."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [word.format(data=data) for word in job.words(folder)]
    child = os.fork()
    if child > 0:
        return child
    output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    sys.argv = [str(ROOT / words[0]), *words[1:]]
    code: Any = 1
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # whatever it is, the child must not go on as the parent
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def finish(job: Job, folder: Path, data: Path) -> float:
    """Do a job to its end and return the seconds.

    Raises:
        ValueError: it failed.
    """
    begin = time.monotonic()
    _, status = os.waitpid(start(job, folder, data), 0)
    if status != 0:
        said = (folder / "output.txt").read_text()[-500:]
        raise ValueError(f"{folder} ended with status {status}, saying: {' '.join(said.split())}")
    return time.monotonic() - begin


def kill_at(job: Job, folder: Path, data: Path, seconds: float) -> tuple[bool, list[Any]]:
    """Start a job and kill it; return whether it was still at work, and what was finished."""
    child = start(job, folder, data)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), job.finished(folder)


def examine(name: str, options: Options, out: Path) -> bool:
    """Kill one job at every moment, print what came of it, and return whether nothing was lost."""
    job, data = JOBS[name], out / "data"
    finish(job, out / name / "warm-up", data)  # compiles what is compiled on first use
    seconds = finish(job, out / name / "whole", data)
    expected = job.result(out / name / "whole")
    is_repeatable = job.result(out / name / "warm-up") == expected
    rng = random.Random(f"{name} {options.seed}")
    n_killed = n_different = n_lost = 0
    stages = []
    for number in range(options.moments):
        folder = out / name / str(number)
        moment = seconds * (number + rng.random()) / options.moments
        was_killed, finished = kill_at(job, folder, data, moment)
        finish(job, folder, data)
        n_killed += was_killed
        stages.append(len(finished))
        n_different += job.result(folder) != expected
        n_lost += not _kept(job, folder, finished)
        shutil.rmtree(folder)
    _tell(
        f"{name}: {seconds:.1f} s undisturbed; {n_killed} of {options.moments} kills met it at "
        f"work, with {stages} epochs, batches or scans finished; {n_lost} runs did finished work "
        f"again, {n_different} ended with other bits"
        + ("" if is_repeatable else "; two undisturbed runs differ")
    )
    return n_different == 0 and n_lost == 0 and is_repeatable


def _kept(job: Job, folder: Path, finished: list[Any]) -> bool:
    """Tell whether what was finished at the kill was not done again."""
    if job.finished is _finished_batches:  # which are gone in the end, so the second start counts
        found = re.search(
            r"(\d+) of \d+ trajectories are there", (folder / "output.txt").read_text()
        )
        sizes = [
            int(stop) - int(begin) for begin, stop in re.findall(r"(\d+)_(\d+)\.npz", str(finished))
        ]
        return int(found[1] if found else 0) == sum(sizes)
    now = job.finished(folder)
    return all(item in now for item in finished)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 1 when something was lost."""
    options = config_from_arguments(Options, arguments, __doc__ or "")
    torch.set_num_threads(1)
    for module in JOB_MODULES:
        importlib.import_module(module)
    out = Path(options.out).resolve()
    shutil.rmtree(out, ignore_errors=True)
    for need in sorted({NEEDS[name] for name in options.names if name in NEEDS}):
        finish(JOBS[need], out / "data" / need, out)
    results = [examine(name, options, out) for name in options.names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
