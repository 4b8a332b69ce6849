"""Make a dataset that is not there, by running its data script as a child process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock

from monarch_core.runs.plain_files import read_yaml
from mri.config.dataset import DatasetConfig

# options of data scripts that say where things are, not what they are
_PLACES = ("out", "source_dir", "mirror", "n_workers")


def prepare_if_missing(config: DatasetConfig) -> None:
    """Run the data script as a child process unless its finished output is there.

    Without a script, the scans that are in `root` are taken as they are. Processes that start
    together (several ranks, a sweep) wait for the one that came first.

    Raises:
        ValueError: if there is no script, it fails, or the data was made with other options.
    """
    root = Path(config.root)
    if root.exists() and not root.is_dir():
        raise ValueError(f"dataset.root={root} is a file; give the folder of the prepared scans")
    finished = root / "metadata.yaml"
    if not config.script:
        if not any(root.glob("*.h5")):
            raise ValueError(
                f"no prepared scans (*.h5) in {root} and dataset.script is empty; prepare them "
                "with one of data_scripts/ (out=FOLDER) or correct dataset.root"
            )
        return
    if not finished.is_file():
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.with_name(f".{root.name}.lock")):
            if not finished.is_file():
                _run_script(config, root)
    made_with = _options_of(finished)
    for name, value in config.prepare.items():
        if name not in made_with:
            raise ValueError(
                f"{root} was prepared without an option {name!r}, only {sorted(made_with)}; "
                "correct dataset.prepare, or delete the folder"
            )
        if made_with[name] != value and name not in _PLACES:
            raise ValueError(
                f"{root} was prepared with {name}={made_with[name]!r}, but dataset.prepare.{name} "
                f"is {value!r}; delete the folder or set another dataset.root"
            )


def _options_of(metadata: Path) -> dict[str, Any]:
    """Return the options that a dataset was prepared with.

    Raises:
        ValueError: if the file does not hold them.
    """
    remedy = "it does not tell how the scans were prepared; delete it, and they are prepared again"
    try:
        stored = read_yaml(metadata)
    except ValueError as error:
        raise ValueError(f"{metadata} is damaged ({error}): {remedy}") from error
    options = stored.get("config") if isinstance(stored, dict) else None
    if not isinstance(options, dict):
        raise ValueError(f"{metadata} has no config: {remedy}")
    return {str(name): value for name, value in options.items()}


def _run_script(config: DatasetConfig, root: Path) -> None:
    options = [f"{name}={json.dumps(value)}" for name, value in config.prepare.items()]
    module = f"data_scripts.mri.{config.script.removeprefix('mri_')}"
    command = ["-m", module, *options, f"out={root}"]
    # -P: a data_scripts in the folder where this was called is not ours
    if subprocess.run([sys.executable, "-P", *command], check=False).returncode:
        raise ValueError(
            f"preparing {root} failed, see above; the command was: python {' '.join(command)}"
        )
    if not (root / "metadata.yaml").is_file():
        raise ValueError(f"{module} left no metadata.yaml in {root}")
