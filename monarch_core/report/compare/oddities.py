"""What is odd about runs that are averaged: said beside every mean that they are part of."""

from collections.abc import Sequence

from monarch_core.report.read.collect import COSTS, Run
from monarch_core.report.read.untrusted import finite
from monarch_core.report.wording import commit, number, plural


def one_per_seed(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Keep one run of every seed, in the order of the seeds, and say which others are left out.

    Of several with the same seed the one whose path sorts last is kept, whatever it found. Runs
    without a seed count one by one.
    """
    kept: dict[object, Run] = {}
    notes = []
    for run in sorted(runs, key=lambda run: str(run.folder)):
        seed: object = run.folder if run.seed is None else run.seed
        if seed in kept:
            notes.append(
                f"seed {run.seed} occurs twice: {run.name} is used, {kept[seed].name} is not; "
                f"{_apart(kept[seed], run)}"
            )
        kept[seed] = run
    return sorted(kept.values(), key=lambda run: (run.seed is None, run.seed or 0)), notes


def oddities(runs: Sequence[Run]) -> list[str]:
    """Return what sets runs of one group apart besides the seed, and what their means leave out."""
    notes = [
        note
        for what, values in (
            ("at {n} different commits", [commit(run.git_commit) for run in runs]),
            ("on {n} different devices", [run.device or "none recorded" for run in runs]),
            ("with {n} different sets of versions", [_versions(run) for run in runs]),
        )
        for note in _several(what, values)
    ]
    dirty = [run.name for run in runs if run.git_commit.endswith("-dirty")]
    if dirty:
        notes.append(f"code with changes that its commit does not hold: {', '.join(dirty)}")
    sizes = {run.costs.get("n_parameters") for run in runs}
    if len(sizes) > 1:
        notes.append("the seeds have different numbers of parameters")
    for cost in COSTS:
        n_known = sum(run.costs.get(cost) is not None for run in runs)
        if 0 < n_known < len(runs):
            notes.append(f"{cost} is known of {n_known} of {len(runs)} seeds: the mean is theirs")
    for metric in dict.fromkeys(name for run in runs for name in run.metrics):
        missing = [run.name for run in runs if metric not in run.metrics]
        if missing:
            notes.append(f"{metric} was not measured in {', '.join(missing)}")
        invalid = [run.name for run in runs if finite(run.metrics.get(metric, 0)) is None]
        if invalid:
            notes.append(f"{metric} is not finite in {', '.join(invalid)}")
    return [*notes, *(f"{run.name}: {note}" for run in runs for note in run.notes)]


def _several(what: str, values: Sequence[str]) -> list[str]:
    found = sorted(set(values))
    return [f"the seeds ran {what.format(n=len(found))}: {'; '.join(found)}"] * (len(found) > 1)


def _apart(one: Run, other: Run) -> str:
    """Say how two runs of the same seed and config differ."""
    here, there = (
        {"commit": run.git_commit, "device": run.device, "versions": _versions(run)}
        for run in (one, other)
    )
    differing = [key for key in here if here[key] != there[key]]
    names = dict.fromkeys([*one.metrics, *other.metrics])
    moved = [name for name in names if repr(one.metrics.get(name)) != repr(other.metrics.get(name))]
    if not moved and not differing:
        return "their numbers are the same"
    shown = [
        f"{name} {number(other.metrics.get(name))} / {number(one.metrics.get(name))}"
        for name in moved[:1]
    ]
    more = [plural(len(moved) - 1, "further metric")] * (len(moved) > 1)
    return f"they differ in {', '.join([*differing, *shown, *more])}"


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
