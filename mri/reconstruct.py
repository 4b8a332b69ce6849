"""A scan to an image: `python mri/reconstruct.py input=SCAN out=FILE method=cg_sense`."""

import logging
import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_scripts.mri.formats import open_measured
from monarch_core.runs.command_line import entry_script
from monarch_core.runs.schema import to_dataclass
from mri.config.reconstruct import ReconstructConfig
from mri.reconstruction.methods import find_method
from mri.reconstruction.output import check_output, open_output
from mri.reconstruction.record import describe_image
from mri.reconstruction.sampling import check_scan
from mri.reconstruction.scan import reconstruct_slices
from mri.reconstruction.slices import finished_slices

log = logging.getLogger(__name__)


def reconstruct(config: ReconstructConfig) -> Path:
    """Write the image of a scan; return its file.

    Slices that an attempt before, which was killed, has finished are not made again.

    Raises:
        ValueError: the scan cannot be read or is none, the run does not fit it, or an option
            makes no sense.
        OSError: the file cannot be written.
    """
    source, out = Path(str(config.input)), Path(str(config.out))
    check_output(out, [source, *([Path(config.mask)] if config.mask else [])])
    with open_measured(source, config.read) as scan:
        method = find_method(config, scan.shape.grid)
        check_scan(scan, config.accept)
        info = describe_image(scan, config)
        with finished_slices(out, info.attributes) as finished, open_output(out, info) as file:
            for index, image in enumerate(reconstruct_slices(scan, config, method, finished)):
                file.write(index, image)
    return out


@entry_script("../configs/mri", "reconstruct")
def main(raw: DictConfig) -> None:
    """Reconstruct one scan."""
    out = reconstruct(to_dataclass(raw, ReconstructConfig))
    log.info("wrote %s", out)


if __name__ == "__main__":
    main()
