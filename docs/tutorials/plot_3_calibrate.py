"""
Calibrate an MRI encoding
=========================

A scanner whose encoding is not quite a Fourier transform, and the same for everyone who is scanned.
One scan of a known object tells what it is; iterative SENSE of an undersampled head then uses it.
"""

# %%
# The scanner
# -----------
# Its lines in k-space are displaced by up to half a sample, as by a gradient out of calibration.
# Nobody who reconstructs knows that.

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

sys.path.insert(0, str(Path.cwd().parents[1]))  # the checkout: `mri` is not installed

from data_scripts.mri.acquisition import acquire, loop_maps, normalise_maps
from data_scripts.mri.anatomy import random_anatomy
from data_scripts.mri.scanner import Scanner

grid, n_coils, noise = (96, 80), 6, 0.01
scanner = Scanner(trajectory=0.5)
rng = np.random.default_rng(0)
maps, _ = normalise_maps(loop_maps(grid, n_coils, 0.0, np.random.default_rng(1)))


def scan(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the true image of an object and all its k-space, as the scanner measures it."""
    density, _ = random_anatomy(kind, rng).parameters(0.1, grid)
    image = density.astype(np.complex64)
    measured = acquire(maps * image[None, None], maps, noise, scanner, rng)
    return torch.from_numpy(image), torch.from_numpy(measured.kspace)


beads, other_beads, head = scan("beads"), scan("beads"), scan("head")
coils = torch.from_numpy(maps)

# %%
# Calibration
# -----------
# An encoding is one transform along each axis of the image. It starts at the DFT, as a Monarch
# matrix of rank 4, and is set by linear least squares to what explains the scan of the beads, whose
# true image is known. A second object, held out, chooses the ridge.

import time

from monarch_core import Fourier, Monarch
from mri.physics.axis_transforms import AxisTransforms
from mri.physics.calibration import KnownScan, calibrate

dft = AxisTransforms(*(Fourier(n, centered=True) for n in grid))
learned = AxisTransforms(*(Monarch.fourier(n, centered=True, rank=4) for n in grid))


def known(image: torch.Tensor, kspace: torch.Tensor) -> KnownScan:
    return KnownScan.of(kspace[None], coils[None], image[None, None])


held_out, begin = known(*other_beads), time.perf_counter()
print(f"residual, held out, of the DFT:     {held_out.residual(dft):.3f}")
calibrate(learned, known(*beads), held_out)
seconds = time.perf_counter() - begin
print(f"residual, held out, calibrated:     {held_out.residual(learned):.3f} ({seconds:.0f} s)")

# %%
# What is left is mostly noise. The true encoding, which only a simulation knows, leaves a bit less.

from monarch_core import Dense

E = torch.from_numpy(scanner.columns(grid)[0])
truth = AxisTransforms(Dense.from_matrix(E, frozen=True), Fourier(grid[1], centered=True))
print(f"residual, held out, true encoding:  {held_out.residual(truth):.3f}")

figure, axes = plt.subplots(1, 2, layout="constrained", figsize=(8, 3.4))
dft_matrix, found = (pair.along_height.dense().detach() for pair in (dft, learned))
for axis, A, title in zip(axes, (dft_matrix, found), ("the DFT", "calibrated"), strict=True):
    shown = axis.imshow((A @ E.mH.to(A)).abs(), vmin=0, vmax=1)
    axis.set(title=f"{title}, times the true inverse", xlabel="line", ylabel="line")
figure.colorbar(shown, ax=axes, label="|A E^H|")

# %%
# Reconstruction
# --------------
# A quarter of the lines of the head, chosen at random with a full centre. ``Sense`` composes coils,
# encoding and mask; conjugate gradients solve its normal equations. Only the encoding differs.

from mri.physics.conjugate_gradient import conjugate_gradient
from mri.physics.encoding import Sense
from mri.physics.masks import random_lines

image, kspace = head
lines = torch.from_numpy(random_lines(grid[0], 4.0, 0.08, seed=0)).float()
mask = lines[:, None].expand(grid)


@torch.no_grad()
def reconstruct(encoding: AxisTransforms) -> torch.Tensor:
    sense = Sense(coils, mask, encoding)
    b = sense.adjoint(kspace)
    return conjugate_gradient(sense.normal, b, 1e-3, 40)[0]


def psnr(estimate: torch.Tensor) -> float:
    error = (estimate - image).abs().square().mean().sqrt()
    return float(20 * torch.log10(image.abs().max() / error))


images = {
    name: reconstruct(encoding)
    for name, encoding in (("DFT", dft), ("calibrated", learned), ("true encoding", truth))
}
for name, estimate in images.items():
    print(f"CG-SENSE, {name:13}  {psnr(estimate):.1f} dB")

figure, axes = plt.subplots(2, 3, layout="constrained", figsize=(8, 6))
for (upper, lower), (name, estimate) in zip(axes.T, images.items(), strict=True):
    upper.imshow(estimate.abs(), cmap="gray", vmin=0, vmax=float(image.abs().max()))
    upper.set(title=f"{name}, {psnr(estimate):.1f} dB")
    difference = lower.imshow((estimate - image).abs(), cmap="magma", vmin=0, vmax=0.3)
    for axis in (upper, lower):
        axis.set(xticks=[], yticks=[])
figure.colorbar(difference, ax=axes[1], label="error (proton density)")

# %%
# One head under one mask is no claim. :doc:`MRI </docs/mri>` has the table over scans and seeds,
# the commands for files of a scanner, and the case in which there is nothing to learn: errors that
# differ from scan to scan.
