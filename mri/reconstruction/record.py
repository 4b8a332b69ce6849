"""What the file of an image says of where it came from and how it was made."""

import dataclasses
from pathlib import Path

from data_scripts.mri.measured import MeasuredScan
from monarch_core.runs.fingerprint import fingerprint_files
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.results import git_commit, versions
from mri.config.reconstruct import ReconstructConfig
from mri.reconstruction.output import ImageInfo


def describe_image(scan: MeasuredScan, config: ReconstructConfig) -> ImageInfo:
    """Return sizes and attributes of the image of a scan."""
    options = dataclasses.asdict(config)
    if config.method not in (None, "sense"):
        options |= {"lamda": config.weight, "n_iterations": config.iterations}
    attributes = {
        "source": scan.path.name,
        "format": scan.kind,
        "fingerprint": fingerprint_files([scan.path]),
        "fingerprints": {k: fingerprint_files(v) for k, v in _others(scan, config).items()},
        "made_by": f"run {config.run}" if config.run else f"method {config.method}",
        "options": options,
        "echo_names": list(scan.echo_names),
        "hybrid_axes": scan.hybrid_axes,
        "units": "those of the k-space, centred and orthonormal",
        "versions": versions(),
        "git_commit": git_commit() or "unknown",
        **scan.details,
    }
    return ImageInfo(scan.shape, config.maps.n_sets, attributes)


def _others(scan: MeasuredScan, config: ReconstructConfig) -> dict[str, list[Path]]:
    """Return the files that an image depends on beside its scan, by what they are."""
    others = {"beside": list(scan.beside)}
    if config.mask is not None and config.mask not in scan.masks:
        others["mask"] = [Path(config.mask)]
    for key in ("run", "calibration"):
        if (place := getattr(config, key)) is not None:
            folder = RunFolder(Path(place))
            others[key] = [folder.config, folder.weights]
    there = {key: [path for path in files if path.is_file()] for key, files in others.items()}
    return {key: files for key, files in there.items() if files}
