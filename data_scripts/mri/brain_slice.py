"""Prepare the measured, fully sampled 7-coil brain slice, for end-to-end checks (schema.md)."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_script
from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.convert import ConvertConfig, write_converted
from data_scripts.mri.download import fetch, known_sources
from data_scripts.mri.output import finish_dataset, start_dataset
from data_scripts.mri.schema import ScanInfo, ScanShape

_SOURCE = "github.com/lab-midas/ismrm-moco-workshop: axial brain, 7 coils, fully sampled, measured"


@dataclass
class BrainSliceConfig:
    """One measured slice, 256 x 216, 7 coils; a test split of its own.

    Attributes:
        out: folder to make.
        source_dir: folder of the source files; empty: beside the repository, else downloaded.
        mirror: folder or URL used in place of GitHub.
        maps: espirit or jsense.
    """

    out: str = "data/mri_brain_slice"
    source_dir: str = ""
    mirror: str = ""
    maps: str = "espirit"


def main(config: BrainSliceConfig) -> None:
    """Write the slice and its metadata."""
    kspace = load_brain_slice(config.source_dir, config.mirror)
    info = ScanInfo("brain_slice", "test", _SOURCE, "MIT", ("echo1",))
    n_coils, *grid = kspace.shape
    shape = ScanShape(1, 1, n_coils, (grid[0], grid[1]))
    start_dataset(Path(config.out), ["brain_slice"])
    options = ConvertConfig(out=config.out, maps=config.maps)
    write_converted(options, Path("brain_slice"), info, shape, lambda _: kspace[None])
    description = {
        "name": Path(config.out).name,
        "equation": "y_c = F S_c x + n_c, measured",
        "grid": list(grid),
        "units": "scanner units divided by scale",
        "source": _SOURCE,
        "licence": "MIT",
    }
    finish_dataset(Path(config.out), config, description)


def load_brain_slice(source_dir: str = "", mirror: str = "") -> Complex[np.ndarray, "coils ky kz"]:
    """Return the measured k-space (7, 256, 216), centred, orthonormal, in scanner units.

    Raises:
        ValueError: if the file is missing or broken and cannot be downloaded.
    """
    (path,) = fetch(known_sources("lab-midas__"), source_dir, mirror)
    with np.load(path) as archive:
        images = np.moveaxis(archive["arr_0"], -1, 0)
    return fft_centred(images).astype(np.complex64)


if __name__ == "__main__":
    sys.exit(run_script(main, BrainSliceConfig))
