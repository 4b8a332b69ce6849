"""What the file of an image says of where it came from and how it was made."""

import dataclasses

from data_scripts.mri.measured import MeasuredScan
from monarch_core.runs.fingerprint import fingerprint_files
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
