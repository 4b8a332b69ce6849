"""Look at k-space and say what is wrong with it as the ground truth of a comparison.

Converters ask before they write a scan, `mri_check` asks of prepared ones. Every finding has a kind
of `KINDS`; data that are meant to be like that are let in with the option accept=[KIND,..] of the
converters, which the scan remembers. The thresholds lie between what was measured on sound scans
and on the same scans with a fault; each function states how far away both are. The sound ones are
7 and 32 coils (256 x 216 and 128 x 128), 16 single-coil scans at 0.055 T (126 to 196 samples), and
19 brain volumes as 3-D k-space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, Num

from data_scripts.mri.centred_fft import ifft_centred
from data_scripts.mri.coil_maps import combine_rss, combine_sense

KINDS = {
    "gaps": "samples, lines, echoes or slices are missing between measured ones (undersampled)",
    "half": "one side of the centre of k-space was not measured",
    "off_centre": "the peak of k-space is not at its centre n // 2",
    "shifted": "the image is shifted by half the field of view (signs alternate in k-space)",
    "no_peak": "the energy has no peak along an axis: it is none of k-space, or holds noise alone",
    "real": "k-space has no imaginary part",
    "maps": "the coil maps do not belong to the data, or lose part of the image",
    "header": "header and data disagree",
    "single_coil": "three axes, and nothing tells slices of one coil from coils of one slice",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, of `KINDS`, and a clause that names value and remedy."""

    kind: str
    text: str


def check_kinds(accept: Sequence[str]) -> None:
    """Refuse kinds of findings that do not exist.

    Raises:
        ValueError: naming the first such word.
    """
    for kind in accept:
        if kind not in KINDS:
            raise ValueError(f"accept must hold kinds of findings, got {kind!r}; use {list(KINDS)}")


def unaccepted(findings: Sequence[Finding], accept: Sequence[str]) -> list[str]:
    """Return a sentence for each finding that was not accepted, with the way to accept it."""
    return [
        f"{finding.text}; if the data are meant to be so, let them in with accept=[{finding.kind}]"
        for finding in findings
        if finding.kind not in accept
    ]


def slice_findings(kspace: Complex[np.ndarray, "echoes coils ky kz"]) -> list[Finding]:
    """Return what is wrong with one slice that has signal: each axis, then gaps."""
    if not kspace.any():
        return []
    if not kspace.imag.any():
        lost = "k-space has no imaginary part, as when magnitudes were saved; save complex values"
        return [Finding("real", lost)]
    findings = gap_findings(kspace)
    for axis, name in ((-2, "first"), (-1, "second")):
        findings += axis_findings(kspace, axis, name)
    return findings


def gap_findings(kspace: Complex[np.ndarray, "echoes coils ky kz"]) -> list[Finding]:
    """Tell whether an echo of a slice was undersampled.

    A sample is a gap where it is a million times weaker (or exactly zero) than samples on both
    sides of it, along either axis. Zero padding, partial Fourier and an ellipse without corners
    leave no such places. Refused are whole lines, more than a tenth of the extent, or gaps that
    with the size of the weaker side would hold half a percent of the energy. Measured: integer data
    of one coil hold up to 5e-4 zeros by chance, which would hold nothing (.1 % when rounded to 1000
    steps); a border of an ellipse ragged by 5 to 10 % would hold .05 to .35 %; 2-fold masks leave
    out 40 % and more; a twentieth of the samples, lost at random, .7 to 12 % of the energy.
    """
    for echo, coils in enumerate(kspace):
        size = np.sqrt(_energy(coils, (0,)))
        between = _size_between(size)
        gaps = size < 1e-6 * between
        if not gaps.any():
            continue
        measured = (size > 0) & ~gaps
        extent = int(measured.sum() + gaps.sum())
        lines = [
            int((gaps.any(1 - axis) & ~measured.any(1 - axis)).sum()) for axis in range(gaps.ndim)
        ]
        share = float(gaps.sum()) / extent
        lost = float((between[gaps] ** 2).sum() / (size**2).sum())
        if any(lines) or share > 0.1 or lost > 0.005:
            return [
                Finding(
                    "gaps",
                    f"{share:.0%} of the samples inside the measured extent are missing in echo "
                    f"{echo} ({lines[0]} whole lines along the first axis, {lines[1]} along the "
                    "second): it is undersampled and no ground truth; take fully sampled data",
                )
            ]
    return []


def missing_images(signal: Bool[np.ndarray, "slices echoes"]) -> list[Finding]:
    """Tell whether an image has no data between others that have.

    Slices at the ends may be empty, as those of a padded slab are.

    Args:
        signal: which echo of which slice is not zero.
    """
    slices = np.flatnonzero(signal.any(1))
    for index in range(slices[0], slices[-1] + 1) if slices.size else ():
        if not signal[index].all():
            echo = int(signal[index].argmin())
            text = f"slice {index} has no data in echo {echo}, but others have; take a whole scan"
            return [Finding("gaps", text)]
    return []


def gaps_between(size: Float[np.ndarray, "ky kz"]) -> Bool[np.ndarray, "ky kz"]:
    """Return where samples lie, along an axis, between others that are a million times stronger."""
    return size < 1e-6 * _size_between(size)


def _size_between(size: Float[np.ndarray, "ky kz"]) -> Float[np.ndarray, "ky kz"]:
    """Return the strongest sample of the weaker side, along the axis where that is stronger."""
    between = np.zeros_like(size)
    for axis in range(size.ndim):
        before = np.maximum.accumulate(size, axis)
        after = np.flip(np.maximum.accumulate(np.flip(size, axis), axis), axis)
        between = np.maximum(between, np.minimum(before, after))
    return between


def axis_findings(kspace: Complex[np.ndarray, "..."], axis: int, name: str) -> list[Finding]:
    """Tell from where the energy is whether an axis is one of centred k-space.

    Args:
        kspace: any axes; energy is added over all others.
        axis: the one to look at.
        name: what it is called in the findings.
    """
    others = tuple(i for i in range(kspace.ndim) if i != axis % kspace.ndim)
    profile = _energy(ifft_centred(kspace, (axis,)), others)
    return line_findings(_energy(kspace, others), profile, name)


def line_findings(
    lines: Float[np.ndarray, " n"], profile: Float[np.ndarray, " n"] | None, name: str
) -> list[Finding]:
    """Tell from the energy of its lines whether an axis is one of centred k-space.

    - no_peak: of m measured lines the strongest holds less than min(m / 2, 8) times the energy of
      the median line, or than 2 below 7 lines. Sound scans have 230 and more in a slice, and 12
      to 27 across slabs of 4 to 8 partitions; coil axes have 2 to 4 (median of random sets of 4 to
      32 coils), slices and noise 1 to 2, images up to 6. Axes below 4 lines are not judged.
    - off_centre: the strongest line is more than 2 + n // 32 samples off, or n // 8 below 16. Sound
      scans are up to 3 off at n = 128 to 196, where 6 to 8 are allowed, and not at all across slabs
      of 4 to 12 partitions; 24 calibration lines spoil maps from 8 on.
    - half: the side of the centre where less was measured has below a tenth of the other's lines;
      partial Fourier of 5/8 has a quarter, the half of k-space almost nothing.
    - shifted: see `shift_findings`.

    Args:
        lines: energy of k-space along the axis.
        profile: energy of the image along it; None where that is not judged.
        name: what the axis is called in the findings.
    """
    n = len(lines)
    measured = np.flatnonzero(lines)
    if n < 2 or not measured.size:
        return []
    peak, median = int(lines.argmax()), float(np.median(lines[measured]))
    least = 2 if measured.size < 7 else min(measured.size / 2, 8)
    if measured.size >= 4 and lines[peak] < least * median:
        flat = (
            f"the strongest line along the {name} axis of length {n} holds only "
            f"{lines[peak] / median:.1f} times the energy of the median line: this is no axis of "
            "k-space (perhaps coils, slices, or an image), or noise; check the order of the axes"
        )
        return [Finding("no_peak", flat)]
    if abs(peak - n // 2) > min(2 + n // 32, n // 8):
        off = (
            f"k-space peaks at sample {peak} of the {name} axis of length {n}, not near its centre "
            f"{n // 2}: it is not centred; apply fftshift along the axis, or correct the centre"
        )
        return [Finding("off_centre", off)]
    findings = [] if profile is None else shift_findings(profile, name)
    less, more = sorted((peak - int(measured[0]), int(measured[-1]) - peak))
    if less < 0.1 * more and more >= n // 4:
        half = (
            f"along the {name} axis of length {n} the lines {measured[0]} to {measured[-1]} were "
            f"measured around the peak {peak}: one half of k-space is missing; take data that "
            "reach at least a tenth as far on the other side"
        )
        findings.append(Finding("half", half))
    return findings


def shift_findings(profile: Float[np.ndarray, " n"], name: str) -> list[Finding]:
    """Tell whether an object lies across the border of its field of view.

    It does where the image is 3 times stronger at both borders than at both sides of the centre
    (sound scans .08 at most, shifted ones 12 at least) and its circular centre of energy

        sum_j p_j exp(2 pi i (j - n//2) / n) / sum_j p_j    (1)

    is more than a quarter of the field of view off (sound .19, shifted .31), or more than 3/8 if it
    has a magnitude of .1: objects that fill the field of view have no centre. It is .12 to .5 along
    the axes of whole heads, and up to .055 for the twentieth of slabs of 4 to 12 slices through
    heads whose centre lies beyond 3/8.

    Args:
        profile: energy of the image along an axis, somewhere positive.
        name: what the axis is called in the finding.
    """
    n = len(profile)
    middle, width = n // 2, max(n // 16, 1)
    turns = np.exp(2j * np.pi * (np.arange(n) - middle) / n)
    centre = (profile * turns).sum() / profile.sum()  # (1)
    off = float(np.angle(centre)) / (2 * np.pi)
    border = min(profile[:width].mean(), profile[-width:].mean())
    inside = min(profile[middle - width : middle].mean(), profile[middle : middle + width].mean())
    outside = abs(off) > 0.375 and abs(centre) > 0.1
    if not outside and (abs(off) <= 0.25 or border <= 3 * inside):
        return []
    text = (
        f"the image is centred {off * n:+.0f} pixels off along the {name} axis of length {n}, "
        "about half the field of view: k-space carries alternating signs; multiply it by (-1)^k "
        "along that axis"
    )
    return [Finding("shifted", text)]


def map_findings(
    kspace: Complex[np.ndarray, "echoes coils ky kz"], maps: Complex[np.ndarray, "coils ky kz"]
) -> list[Finding]:
    """Tell whether the maps combine the coils of a slice without loss.

    Where the root sum of squares is bright, the magnitude of the SENSE combination must equal it:

        d = || |x_sense| - x_rss || / || x_rss ||  over x_rss > .3 of its 99 % quantile

    Sound: .004 (ESPIRiT and JSENSE, 7 to 32 coils), .1 where noise holds a fifth of the energy,
    .001 to .06 for most slices of heads seen by 4 coils and up to .17 for some (ESPIRiT with kernel
    4 and 16 samples; .13 with 6 and 24); a conjugated map .22 to .31, half of a map lost .37, coils
    in another order .41. Refused above .2, and not judged where noise (the median sample) holds
    more than a quarter of the energy.
    """
    power = _energy(kspace, (0, 1))
    sampled = power[power > 0]
    if not sampled.size or np.median(sampled) * sampled.size > 0.25 * sampled.sum():
        return []
    sense = np.abs(combine_sense(kspace, maps)).astype(np.float64)
    rss = combine_rss(kspace).real.astype(np.float64)
    bright = rss > 0.3 * np.quantile(rss, 0.99)
    size = float(np.linalg.norm(rss[bright]))
    lost = float(np.linalg.norm((sense - rss)[bright])) / size
    if lost <= 0.2:
        return []
    text = (
        f"the SENSE combination differs by {lost:.0%} from the root sum of squares where the image "
        f"is bright (amplitude ratio {float(np.linalg.norm(sense[bright])) / size:.2g}): the coil "
        "maps are of other data, another order or norm, or were estimated off the centre; estimate "
        "them anew, with another calibration or kernel, or maps=jsense"
    )
    return [Finding("maps", text)]


def _energy(values: Num[np.ndarray, "..."], axes: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    return (np.abs(values).astype(np.float64) ** 2).sum(axes)
