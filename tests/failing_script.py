"""A script that fails in every way, started many times in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

SCRIPT = '''
import gc, json, logging, os, signal, sys
from dataclasses import dataclass, field
from pathlib import Path
import hydra
from omegaconf import DictConfig
from monarch_core.training.config import FitConfig
from monarch_core.report.read.collect import collect_runs
from monarch_core.runs.failures import user_errors
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.standing import standing_of
from monarch_core.training.start import start_run
from monarch_core.runs.lock import leave, occupy

@dataclass
class Config:
    fit: FitConfig = field(default_factory=FitConfig)
    seed: int = 0
    fails: str = ""

@hydra.main(version_base="1.3", config_path="conf", config_name="config")
@user_errors
def main(raw: DictConfig) -> None:
    """Do what the value of `fails` says."""
    config, run_dir = start_run(raw, Config)
    logging.getLogger(__name__).info("at work")
    if config.fails == "value":
        raise ValueError("x must divide n, got 7;\\n use 5")
    if config.fails == "disk":
        (run_dir / "checkpoint.pt").touch()
        raise OSError(28, "No space left on device")
    if config.fails == "interrupt":
        (run_dir / "checkpoint.pt").touch()
        raise KeyboardInterrupt
    if config.fails.startswith("SIG"):
        (run_dir / "checkpoint.pt").touch()
        os.kill(os.getpid(), signal.Signals[config.fails])
    if config.fails == "weights":
        RunFolder(run_dir).origin.write_text("{}")
        raise ValueError("the weights do not fit")
    if config.fails == "bug":
        raise ZeroDivisionError("a defect")
    (run_dir / "results.json").write_text(json.dumps({"seed": config.seed}))

with hydra.initialize_config_dir(os.path.abspath("conf"), version_base="1.3"):
    hydra.compose("config", ["seed=1"])  # what every start would do anew
gc.freeze()

# One interpreter runs several starts of the script, each in a process of its own.
for arguments, taken in json.loads(sys.stdin.read()):
    if taken:  # as if another run worked there
        os.makedirs(taken, exist_ok=True)
        occupy(Path(taken))
    child = os.fork()
    if child == 0:
        out, err = open("out.txt", "w"), open("err.txt", "w")
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv[1:] = arguments
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)  # the orderly end of an interpreter that holds torch takes seconds
    _, status = os.waitpid(child, 0)
    if taken:
        leave(Path(taken))
    texts = [open(name).read() for name in ("out.txt", "err.txt")]
    print(json.dumps([os.waitstatus_to_exitcode(status), *texts]), flush=True)
'''

CONFIG = """
resume: null
seed: 0
fails: ""
fit: {epochs: 3}
hydra:
  output_subdir: null
  run: {dir: runs/single}
  sweep: {dir: runs/sweep, subdir: "${hydra.job.num}"}
"""


def write_script(folder: Path) -> None:
    """Write the script and its config into a folder."""
    (folder / "conf").mkdir()
    (folder / "conf" / "config.yaml").write_text(CONFIG)
    (folder / "script.py").write_text(SCRIPT)


def run_starts(
    folder: Path, commands: Mapping[str, Sequence[str]], taken: Mapping[str, str] | None = None
) -> dict[str, list]:
    """Start the script with several command lines; return exit code, output and errors of each.

    Args:
        folder: of `write_script`.
        commands: the command lines, by names.
        taken: folder in which another run works meanwhile, by the names of commands.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("HYDRA_FULL_ERROR", None)
    asked = [(list(words), (taken or {}).get(name)) for name, words in commands.items()]
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(commands, outcomes, strict=True))
