"""What was understood of data of your own, in words."""

from data_scripts.pde.readers import Channel, Fields, open_trajectories
from monarch_core.runs.printable import listed, printable
from pde.config.dataset import DATASETS
from pde.config.own import OwnConfig
from pde.dataset.guesses import places_of_splits
from pde.dataset.own import held_splits, slices_of

_MOST_UNUSED = 12


def summarize(fields: Fields, config: OwnConfig, notes: list[str]) -> str:
    """Return some lines: what is in the file, and what of it is learned from what.

    Args:
        fields: of the file.
        config: complete.
        notes: what was guessed, each with the option that says otherwise.
    """
    n_trajectories, n_times, n_channels, *grid = fields.shape
    if fields.windows:
        n_trajectories, n_times = len({of for of, _ in fields.windows}), fields.n_stored_times
    counted = {"trajectory": n_trajectories, "frame": n_times, "channel": n_channels}
    inside = "".join(f"{_plural(n, what)}, " for what, n in counted.items())
    rows = {
        "file": f"{fields.path} ({fields.layout}): {inside}{_times_signs(grid)} points",
        "predicted": _channels(fields.channels, config.channels),
        "given": _given(fields, config),
        "grid": ", ".join(_axis(fields, config, axis) for axis in range(config.n_axes)),
        "time": _times(fields, config),
        "windows": _windows(fields, config),
        "splits": _splits(fields, config),
    }
    lines = [f"  {name:<10} {words}" for name, words in rows.items() if words]
    lines += [f"  {'guessed':<10} {printable(note)}" for note in notes]
    lines += [f"  {'not used':<10} {printable(line)}" for line in _unused(fields)]
    problem = _known_problem(fields)
    if problem is not None:
        lines.append(
            f"  {'hint':<10} layout and attributes are those of {problem}: dataset={problem} "
            "checks that, and uses what is known of it"
        )
    return "\n".join(["own data, as understood:", *lines])


def _known_problem(fields: Fields) -> str | None:
    """Return the data set with a name that a file says it is of, without any doubt."""
    try:
        states = open_trajectories(fields.path).states
    except ValueError:  # of no layout of theirs
        return None
    return states.problem if states.problem in DATASETS and not states.doubts else None


def _channels(all_of_them: tuple[Channel, ...], used: list[str]) -> str:
    units = {channel.name: channel.unit for channel in all_of_them}
    return listed(f"{name} ({units[name]})" if units[name] else name for name in used)


def _given(fields: Fields, config: OwnConfig) -> str:
    frames = _plural(config.n_input_frames, "frame") if config.evolves else ""
    constants = _channels(fields.constants, config.constants) if config.constants else ""
    return ", ".join(filter(None, (frames, constants)))


def _axis(fields: Fields, config: OwnConfig, axis: int) -> str:
    name, points, n = fields.axis_names[axis], fields.coordinates[axis], config.grid[axis]
    stored, used = fields.shape[3 + axis], slices_of(fields, config, config.points)[axis]
    words = [f"{name} {n} points" if n == stored else f"{name} {n} of {stored} points"]
    if points is not None:
        points = points[used]
        words.append(f"from {points[0]:g} to {points[-1]:g}")
        words.append("uneven" if name in config.uneven else f"{abs(points[1] - points[0]):g} apart")
    words.append("periodic" if config.periodic[axis] else "not periodic")
    return " ".join(words)


def _times(fields: Fields, config: OwnConfig) -> str:
    if not config.evolves:
        return ""
    n_times = fields.shape[1]
    used = range(n_times)[config.frames]
    given, predicted = used[: config.n_input_frames], used[config.n_input_frames :]
    words = f"frames {_span(given)} in, {_span(predicted)} out, of 0 to {n_times - 1}"
    words += " in a window" if config.window else ""
    if config.stride > 1:
        words += f", every {config.stride}"
    if fields.times is None:
        return f"{words}; no times are known: dataset.times_key=NAME, times= or time_step="
    first, last = (fields.times[frame] for frame in (used[0], used[-1]))
    return f"{words}; times {first:g} to {last:g}, steps of {(last - first) / (len(used) - 1):g}"


def _splits(fields: Fields, config: OwnConfig) -> str:
    held = held_splits(fields)
    places = places_of_splits(fields.shape[0], config.split_sizes, held)
    words = [f"{len(part)} {split} ({_span(part)})" for split, part in places.items()]
    return ", ".join(words) + (" as the file has them" if held else "")


def _windows(fields: Fields, config: OwnConfig) -> str:
    """Return which frames each split has of a file whose trajectories were cut along time."""
    if not fields.windows:
        return ""
    places = places_of_splits(fields.shape[0], config.split_sizes, held_splits(fields))
    words = [f"{len(fields.windows)} of {config.window} frames without overlap"]
    for split, part in places.items():
        starts = [fields.windows[i][1] for i in part]
        frames = range(min(starts), max(starts) + config.window)
        words.append(f"{split} in frames {_span(frames)}")
    return ", ".join(words)


def _unused(fields: Fields) -> list[str]:
    """Return a line for each of the arrays that are not used, the first of many."""
    lines = [f"{name} {reason}" for name, reason in fields.unused.items()]
    more = len(lines) - _MOST_UNUSED
    return lines if more <= 0 else [*lines[:_MOST_UNUSED], f"and {more} more arrays"]


def _span(numbers: range) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _plural(n: int, what: str) -> str:
    return f"{n} {what if n == 1 else f'{what}s'.replace('ys', 'ies')}"


def _times_signs(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))
