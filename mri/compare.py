"""Paired differences over scans: `python mri/compare.py RUNS... [--update FILE --marker NAME]`.

Every method is compared with the control on the same scans under the same masks. With m_i the mean
over seeds, then over the echoes of scan i, of a metric, and n scans,

    d_i = m_i - m_i(control),   d = 1/n sum_i d_i,   interval = d -+ t s / sqrt(n)

where s is the standard deviation of the d_i and t the 97.5 % quantile of Student's distribution
with n - 1 degrees of freedom. What runs are, and which are seeds of one method, is decided as in
`monarch-report`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.report.compare.groups import beside_the_table
from monarch_core.report.compare.paired import trained_apart
from monarch_core.report.documents import add_destination, deliver, run_command
from monarch_core.report.render.differences import differences_table
from mri.metrics.methods import mri_runs, read_methods

CONTROL = "sense, fft"
# Headings and digits of the metrics.
HEADS = {
    "psnr": ("complex PSNR, dB", 2),
    "psnr_magnitude": ("magnitude PSNR, dB", 2),
    "ssim": ("SSIM", 4),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or write it into a file; return the exit status."""
    parser = argparse.ArgumentParser(description="Paired differences over scans, with intervals.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders that hold evaluated runs")
    parser.add_argument("--control", default=CONTROL, help="model and transform (%(default)r)")
    parser.add_argument("--only", metavar="METHOD", help="leave out all other methods")
    parser.add_argument("--by-contrast", action="store_true", help="one row per contrast")
    add_destination(parser)
    return run_command(parser, _run, arguments)


def _run(options: argparse.Namespace) -> None:
    runs = mri_runs(options.runs)
    methods = read_methods(runs, by_contrast=options.by_contrast)
    control, only = options.control, options.only
    table = differences_table(methods, control, HEADS, item="scan", only=only)
    notes = [*beside_the_table(runs), *trained_apart(methods, control)]
    deliver(table.markdown(), notes, options)


if __name__ == "__main__":
    sys.exit(main())
