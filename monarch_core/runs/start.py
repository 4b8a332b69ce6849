"""How a run gets its config and its folder, and how it is found again."""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from monarch_core.runs.failures import run_folder
from monarch_core.runs.files import write_text
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.hydra_folder import folder_was_chosen, leave_folder_of_hydra
from monarch_core.runs.lock import FolderInUseError, leave, occupy
from monarch_core.runs.overrides import key_of
from monarch_core.runs.schema import load_config, save_config, to_dataclass
from monarch_core.runs.typed import typed

__all__ = ["load_config", "run_to_read"]

T = TypeVar("T")
State = Literal["new", "unfinished", "finished"]


def read_start(
    raw: DictConfig, schema: type[T], changeable: Sequence[str] = ()
) -> tuple[T, Path, dict[str, Any]]:
    """Return the checked config of a job, the folder that it asks for, and what `resume` changes.

    Args:
        raw: what hydra composed. Its keys `resume` and `run_dir` need not be in the schema.
        schema: the dataclass of the config.
        changeable: keys that may be given with `resume`; the config is that of the run before them.

    Raises:
        ValueError: a key or value is wrong, there is no folder, other overrides accompany
            `resume`, or the run is one of another script.
    """
    run_dir = run_folder(raw)
    if run_dir is None:
        raise ValueError("no run folder was given; add run_dir=FOLDER to the config")
    if not raw.get("resume"):
        return to_dataclass(_without_folder_keys(raw, schema), schema), run_dir, {}
    leave_folder_of_hydra(run_dir)
    asked = {item: key_of(item) for item in asked_overrides() or []}
    said = as_typed(schema, list(asked))
    others = [item for item in said if key_of(item) not in ("resume", *changeable)]
    if others:
        also = f"; {', '.join(changeable)} can" if changeable else ""
        raise ValueError(
            f"resume continues a run as it was started, so {', '.join(others)} cannot be given "
            f"with it{also}; leave that out, or start a new run without resume"
        )
    _check_script(RunFolder(run_dir))
    config = load_config(run_dir, schema)
    go_to_start(run_dir)
    changes = {key: OmegaConf.select(raw, key) for key in asked.values() if key in changeable}
    return config, run_dir, changes


def change_config(folder: RunFolder, changes: dict[str, Any], asked: dict[str, Any]) -> None:
    """Change the config that a run goes on with, and the overrides that make it from the start.

    Args:
        folder: of the run.
        changes: values by key, as {"fit.epochs": 20}.
        asked: those of them that become overrides.
    """
    config = OmegaConf.create(folder.read_config())
    for key, value in changes.items():
        OmegaConf.update(config, key, value)
    write_text(folder.config, OmegaConf.to_yaml(config))
    given = folder.started_with()
    if given is not None:
        kept = [item for item in given if key_of(item) not in asked]
        words = {key: "null" if value is None else value for key, value in asked.items()}
        new = [f"{key}={word}".replace(" ", "") for key, word in words.items()]
        write_text(folder.overrides, OmegaConf.to_yaml(OmegaConf.create([*kept, *new])))


def as_typed(schema: type, overrides: Sequence[str]) -> list[str]:
    """Return overrides in the words of the user.

    Args:
        schema: the dataclass of the config. Where the script changes the command line before hydra
            reads it, its class method `as_typed` takes that back.
        overrides: as hydra has them.
    """
    words: list[str] = getattr(schema, "as_typed", list)(overrides)
    return words


def asked_overrides() -> list[str] | None:
    """Return the overrides of this job; None when hydra is not at work."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else None


def _script() -> str | None:
    """Return the name of the script that is running; None when hydra is not at work."""
    return HydraConfig.get().job.name if HydraConfig.initialized() else None


def _check_script(folder: RunFolder) -> None:
    """Raise ValueError where another script than this one started the run of a folder."""
    own, other = _script(), folder.started_by()
    if None not in (own, other) and own != other:
        raise ValueError(
            f"resume={folder.path} is a run of {other}.py, which {own}.py cannot go on with; give "
            f"the folder of a run of {own}.py, or resume it with {other}.py"
        )


def take_folder(run_dir: Path, config: Any, *, is_resumed: bool) -> tuple[Path, State]:
    """Occupy the folder of a job and tell what is in it; a new run is noted there.

    A folder that holds a run of the same overrides is that run: it goes on after its last
    checkpoint, or has nothing left to do. So a command, of one run or of a sweep, may be repeated
    until all of it is finished.

    Args:
        run_dir: the folder. Where a time stamp chose its name and another process works there, it
            is `NAME-2` and so on.
        config: of the run, a dataclass.
        is_resumed: the user asked to go on with what is there.

    Raises:
        ValueError: the folder is in use, or holds work of a run with other overrides, or a file
            of this name that is none of a run.
    """
    if is_resumed:
        occupy(run_dir)
        RunFolder(run_dir).forget_refusal()
        return run_dir, "unfinished"
    run_dir = _occupy_new(run_dir)
    try:
        state = _state(RunFolder(run_dir), type(config))
        RunFolder(run_dir).forget_refusal()
        if state == "new":
            if RunFolder(run_dir).config.exists():  # of an attempt that came to nothing
                RunFolder(run_dir).forget_start()
            save_config(run_dir, config)
            _save_start(RunFolder(run_dir))
    except BaseException:
        leave(run_dir)
        raise
    return run_dir, state


def run_to_read(raw: DictConfig) -> Path:
    """Return the folder of the finished run that `run=` names, and go to where it was started.

    The relative paths of its config then lead where they led, from whichever folder this is called.

    Raises:
        ValueError: no folder is given, or it is not that of a run.
    """
    if not raw.get("run"):
        raise ValueError("run has no value; give the folder of a run, as in run=runs/pde/NAME")
    run_dir = Path(raw.run).absolute()
    if not RunFolder(run_dir).config.is_file():
        raise ValueError(
            f"run={raw.run} is not a run folder, as there is no {RunFolder(run_dir).config}; give "
            "the folder that train.py printed, usually runs/TASK/NAME"
        )
    go_to_start(run_dir)
    return run_dir


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not null, which take the place of those of a run."""
    return {str(key): value for key, value in options.items() if value is not None}


def go_to_start(run_dir: Path) -> None:
    """Change to the folder that a run was started in, if hydra noted it and it is still there."""
    started_in = RunFolder(run_dir).started_in()
    if started_in is not None:
        os.chdir(started_in)


def _state(folder: RunFolder, schema: type) -> State:
    """Tell what a folder holds; a run that failed before it finished an epoch leaves it free.

    Where hydra itself notes the overrides (its `output_subdir`), it did so before this is asked,
    and nobody knows any more with which others the run was started.
    """
    kept = [path for path in (folder.checkpoint, folder.results) if path.exists()]
    if not folder.config.exists():
        return "new"
    if not kept:
        _require_own_config(folder, schema)
        return "new"
    asked = asked_overrides()
    is_spoilt = asked is not None and HydraConfig.get().output_subdir is not None
    earlier = None if is_spoilt else folder.started_with()
    if earlier is not None and asked is not None and sorted(earlier) == sorted(asked):
        return "finished" if folder.is_finished else "unfinished"
    names = ", ".join(path.name for path in kept)
    differ = ""
    if earlier is not None and asked is not None:
        was, now = (" ".join(as_typed(schema, x)) or "no overrides" for x in (earlier, asked))
        differ = f" (it was started with {was}, now asked for is {now})"
    raise ValueError(
        f"{folder.path} already holds a run ({names}); go on with it through "
        f"{typed('resume', str(folder.path))}, delete it, or choose another folder with "
        f"hydra.run.dir=FOLDER{differ}"
    )


def _require_own_config(folder: RunFolder, schema: type) -> None:
    """Raise ValueError where a folder without results has a config that no run has left there."""
    try:
        load_config(folder.path, schema)
    except ValueError as error:
        raise ValueError(
            f"{folder.config} is not the config of a run like this one, and would be written over; "
            "choose another folder with hydra.run.dir=FOLDER, or move the file away"
        ) from error


def _save_start(folder: RunFolder) -> None:
    """Write what hydra would, before it is known that the folder belongs to this run."""
    if HydraConfig.initialized():
        write_text(folder.overrides, OmegaConf.to_yaml(OmegaConf.create(asked_overrides())))
        write_text(folder.hydra, OmegaConf.to_yaml(HydraConfig.instance().cfg))


def _occupy_new(run_dir: Path) -> Path:
    """Make and occupy a folder; where its name was not the user's choice, another if need be."""
    candidate = run_dir
    for number in itertools.count(2):
        candidate.mkdir(parents=True, exist_ok=True)
        try:
            occupy(candidate)
        except FolderInUseError:
            if folder_was_chosen():
                raise
            candidate = run_dir.with_name(f"{run_dir.name}-{number}")
        else:
            break
    return candidate


def _without_folder_keys(raw: DictConfig, schema: Any) -> DictConfig:
    """Drop `resume` and `run_dir` where the schema does not know them."""
    known = [field.name for field in dataclasses.fields(schema)]
    copy = raw.copy()
    with open_dict(copy):
        for key in ("resume", "run_dir"):
            if key in copy and key not in known:
                del copy[key]
    return copy
