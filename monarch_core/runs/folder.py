"""The run folder: every name in it, and what its files say of where the run stands."""

import contextlib
import os
from pathlib import Path
from typing import Any

from monarch_core.runs.epoch_log import EpochLog
from monarch_core.runs.files import write_text
from monarch_core.runs.untrusted import last_line, parse_json, read_text


class RunFolder:
    """A run on disk; nothing but this class spells the names of its files.

    Attributes:
        path: the folder.
        config: every value of the run, resolved, as YAML.
        overrides: what was asked for on the command line, a list in YAML.
        hydra: the configuration of hydra at the start, which tells the folder it was called in.
        log: `EpochLog`, one line for every finished epoch.
        weights: tensors of the best epoch.
        checkpoint: everything needed to go on.
        aborted: the state at the moment when a loss was not finite.
        origin: where it began, if it started from the weights of another run, in JSON.
        results: what the run found, in JSON.
        artifacts: curves, fields, images and tables for the report.
        scans: scores of every scan (MRI), as CSV.
        evaluations: folders with results on other data than the run's own.
        failure: traceback of the last attempt that failed.
        refused: the same of a job of a sweep that was refused before it began, and is no run.
        lock: there while a process works in the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.overrides = path / ".hydra" / "overrides.yaml"
        self.hydra = path / ".hydra" / "hydra.yaml"
        self.log = EpochLog(path / "log.jsonl")
        self.weights = path / "weights.pt"
        self.checkpoint = path / "checkpoint.pt"
        self.aborted = path / "aborted.pt"
        self.origin = path / "started_from.json"
        self.results = path / "results.json"
        self.artifacts = path / "artifacts.npz"
        self.scans = path / "scans.csv"
        self.evaluations = path / "evaluations"
        self.failure = path / "failure.txt"
        self.refused = path / "refused.txt"
        self.lock = path / ".lock"

    @property
    def is_run(self) -> bool:
        """Whether a run was started here, finished or failed; links count, wherever they lead."""
        return any(map(os.path.lexists, (self.results, self.failure, self.config)))

    @property
    def has_begun(self) -> bool:
        """Whether a run has left anything of its training or its results here."""
        left = (self.log.path, self.weights, self.checkpoint, self.aborted, self.results)
        return any(map(os.path.lexists, left))

    @property
    def is_finished(self) -> bool:
        """Whether the run has results."""
        return self.results.exists()

    @property
    def can_resume(self) -> bool:
        """Whether an epoch was finished after which the run can go on."""
        return self.checkpoint.exists()

    def started_with(self) -> list[str] | None:
        """Return the overrides that the run was started with; None when hydra did not start it.

        Raises:
            ValueError: the record holds something else.
        """
        path = self.overrides
        if not path.exists():
            return None
        overrides = _read_yaml(path) or []
        if not isinstance(overrides, list) or not all(isinstance(item, str) for item in overrides):
            raise ValueError(
                f"{path} is no list of overrides; restore it from a copy, or delete it."
            )
        return overrides

    def started_in(self) -> Path | None:
        """Return the folder that the run was started in, if hydra noted it and it is still there.

        Raises:
            ValueError: the record is no plain YAML.
        """
        stored = self._noted_by_hydra("runtime", "cwd")
        return Path(stored) if isinstance(stored, str) and Path(stored).is_dir() else None

    def started_by(self) -> str | None:
        """Return the name of the script that started the run, None where hydra noted none.

        Raises:
            ValueError: the record is no plain YAML.
        """
        stored = self._noted_by_hydra("job", "name")
        return stored if isinstance(stored, str) and stored.isidentifier() else None

    def _noted_by_hydra(self, *keys: str) -> Any:
        stored = _read_yaml(self.hydra) if self.hydra.exists() else None
        for key in ("hydra", *keys):
            stored = stored.get(key) if isinstance(stored, dict) else None
        return stored

    def read_config(self) -> Any:
        """Return the plain values of `config.yaml`, whoever wrote it.

        Raises:
            ValueError: it is not there, or holds more than plain values.
        """
        return _read_yaml(self.config)

    def read_results(self) -> Any:
        """Return what `results.json` holds, whoever wrote it.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no plain file, too large or no JSON.
        """
        return parse_json(read_text(self.results))

    def read_origin(self) -> Any:
        """Return where the run began; None where it began with weights of its own.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no plain file, too large or no JSON.
        """
        return parse_json(read_text(self.origin)) if self.origin.exists() else None

    @property
    def trouble(self) -> Path:
        """The file that tells why the last attempt came to nothing, if it did."""
        return self.refused if os.path.lexists(self.refused) else self.failure

    def why_failed(self) -> str:
        """Return the last line of the traceback of an attempt that failed; empty if it has none.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no plain file.
        """
        return last_line(self.trouble)

    def mark_failed(self, story: str) -> Path | None:
        """Keep the story of a failure; return its file, None where it cannot be written.

        A finished run is not marked.
        """
        return None if self.is_finished else _kept(self.failure, story)

    def mark_refused(self, story: str) -> Path | None:
        """Keep the story of a refusal in a sweep; return its file, None if it cannot be written."""
        return _kept(self.refused, story)

    def forget_results(self) -> None:
        """Remove the results of a run that is to be trained on; its weights give them again."""
        for path in (self.results, self.artifacts):
            path.unlink(missing_ok=True)

    def forget_failure(self) -> None:
        """Remove the mark of an earlier failure, if that is possible."""
        with contextlib.suppress(OSError):
            self.failure.unlink(missing_ok=True)

    def forget_refusal(self) -> None:
        """Remove the mark of an earlier refusal, if that is possible."""
        with contextlib.suppress(OSError):
            self.refused.unlink(missing_ok=True)

    def forget_start(self) -> None:
        """Remove what a start notes before anything is learned, if that is possible."""
        for path in (self.config, self.overrides, self.hydra, self.origin):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.overrides.parent.rmdir()


def _kept(path: Path, story: str) -> Path | None:
    with contextlib.suppress(OSError):
        write_text(path, story)
        return path
    return None


def _read_yaml(path: Path) -> Any:
    from monarch_core.runs.plain_files import read_yaml  # with libraries that a report does without

    return read_yaml(path)
