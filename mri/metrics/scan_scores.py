"""The scores of each scan that evaluated runs left in `scans.csv`, read without trusting them."""

import csv
import io

from monarch_core.report.compare.paired import Scores
from monarch_core.report.read.collect import Run
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.printable import printable
from monarch_core.runs.typed import typed
from monarch_core.runs.untrusted import read_text

METRICS = ("psnr", "psnr_magnitude", "ssim")
_PRESET = "evaluation.preset"
_NEEDED = ("scan", "echo", "method", "masks", *METRICS)


def read_scores(run: Run) -> Scores:
    """Return what the model of a run scored on each (scan, echo) under the masks of its config.

    Raises:
        ValueError: the file is missing or damaged, or is not what `results.json` was made of.
    """
    path = RunFolder(run.folder).scans
    anew = f"make it anew with python mri/evaluate.py {typed('run', run.name)}"
    if not path.exists():
        raise ValueError(f"{printable(str(path))} is missing; {anew}")
    where = f"{run.name}, {path.name}"
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path))))
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{where} cannot be read ({printable(str(error))}); {anew}") from error
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for number, row in enumerate(rows, start=2):
        lacking = [column for column in _NEEDED if not row.get(column)]
        if lacking:
            raise ValueError(f"{where}, line {number}, has no {', '.join(lacking)}; {anew}")
        if (row["method"], row["masks"]) != ("model", "seen"):
            continue
        preset = row.get("preset", run.settings[_PRESET])
        if preset != run.settings[_PRESET]:
            raise ValueError(
                f"{where}, line {number}, was measured with preset {printable(preset)} and "
                f"results.json with {run.settings[_PRESET]}; {anew}"
            )
        key = printable(row["scan"]), printable(row["echo"])
        if key in scores:
            raise ValueError(f"{where}, line {number}, has {', '.join(key)} once more; {anew}")
        try:
            scores[key] = {metric: float(row[metric]) for metric in METRICS}
        except ValueError as error:
            raise ValueError(f"{where}, line {number}: {printable(str(error))}; {anew}") from error
    if not scores:
        raise ValueError(f"{where} has no line of the model; {anew}")
    return scores
