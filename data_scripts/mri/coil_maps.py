"""Coil sensitivities and what belongs to coils: estimation, combination, whitening, compression.

Arrays are NumPy, k-space is centred and orthonormal. Maps are dimensionless; where the estimate
has support their root sum of squares over the coils is one.
"""

import hashlib
import math
import os
from pathlib import Path

import numpy as np
from jaxtyping import Complex

from data_scripts.finite import require_finite
from data_scripts.mri.centred_fft import ifft_centred
from data_scripts.mri.espirit import espirit
from data_scripts.unusable import read_npy

METHODS = ("espirit", "jsense")


def combine_sense(
    kspace: Complex[np.ndarray, "echoes coils ky kz"], maps: Complex[np.ndarray, "coils ky kz"]
) -> Complex[np.ndarray, "echoes ky kz"]:
    """Return the SENSE combination x = sum_c conj(S_c) F^-1 y_c, in the unit of the data."""
    return (maps.conj() * ifft_centred(kspace)).sum(-3)


def combine_rss(
    kspace: Complex[np.ndarray, "echoes coils ky kz"],
) -> Complex[np.ndarray, "echoes ky kz"]:
    """Return the root sum of squares sqrt(sum_c |F^-1 y_c|^2), real values in a complex array."""
    images = np.abs(ifft_centred(kspace))
    # a power of two, so exact; in this unit no square leaves the range of single precision
    unit = images.dtype.type(2.0 ** math.frexp(float(images.max()))[1])
    return (unit * np.sqrt(((images / unit) ** 2).sum(-3))).astype(kspace.dtype)


def echo_of_maps(kspace: Complex[np.ndarray, "echoes coils ky kz"]) -> int:
    """Return the echo that maps are estimated from: the first with a signal, 0 where none has."""
    return int(kspace.any((1, 2, 3)).argmax())


def check_map_options(calibration: int, kernel: int, threshold: float, crop: float) -> None:
    """Check the options of maps, before any are estimated.

    Raises:
        ValueError: if one is outside of its range.
    """
    if not 1 <= kernel <= calibration:
        raise ValueError(
            f"1 <= kernel <= calibration must hold, got kernel={kernel} and "
            f"calibration={calibration}; usual are 6 and 24"
        )
    for name, value, usual in (("threshold", threshold, 0.02), ("crop", crop, 0.95)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be from 0 to below 1, got {value}; usual is {usual}")


def estimate_maps(
    kspace: Complex[np.ndarray, "coils ky kz"],
    *,
    method: str = "espirit",
    calibration: int = 24,
    kernel: int = 6,
    threshold: float = 0.02,
    crop: float = 0.95,
    cache_dir: Path | None = None,
) -> Complex[np.ndarray, "coils ky kz"]:
    """Estimate the sensitivities of one slice from the centre of its k-space.

    `espirit` (Uecker et al. 2014) is zero where the image has no signal; `jsense` (Ying and Sheng
    2007, as in SKM-TEA; by sigpy) is defined everywhere. One coil gets maps of ones, and a slice
    without signal gets maps of zeros.

    Args:
        kspace: fully sampled at least in the centre, any unit.
        method: `espirit` or `jsense`.
        calibration: side of the calibration square in samples.
        kernel: width of the k-space kernel in samples.
        threshold: of ESPIRiT, share of the largest singular value that others must have to count.
        crop: of ESPIRiT, eigenvalue above which a pixel has a map.
        cache_dir: where estimates are kept, named by the data they came from; None keeps nothing.

    Raises:
        ValueError: for an unknown method, values that are not finite, a damaged cache, or if
            kernel, calibration and grid do not fit.
    """
    options = (method, calibration, kernel, threshold, crop)
    if cache_dir is None:
        return estimate_map_sets(kspace, *options)[0]
    recipe = f"{' '.join(map(str, options))} {kspace.shape} {kspace.dtype}"
    digest = hashlib.sha256(recipe.encode() + np.ascontiguousarray(kspace).tobytes()).hexdigest()
    cached = cache_dir / f"maps_{digest[:32]}.npy"
    if cached.is_file():
        return _cached(cached, kspace.shape)
    maps = estimate_map_sets(kspace, *options)[0]
    if len(kspace) == 1 or not kspace.any():  # made faster than read
        return maps
    cache_dir.mkdir(parents=True, exist_ok=True)
    temporary = cached.with_suffix(f".{os.getpid()}.part")
    with temporary.open("wb") as file:
        np.save(file, maps)
    temporary.replace(cached)
    return maps


def estimate_map_sets(
    kspace: Complex[np.ndarray, "coils ky kz"],
    method: str,
    calibration: int,
    kernel: int,
    threshold: float,
    crop: float,
    n_sets: int = 1,
) -> Complex[np.ndarray, "sets coils ky kz"]:
    """Estimate one or more sets of maps of one slice; the first is that of `estimate_maps`.

    Args:
        kspace: as for `estimate_maps`, and so are the others.
        method: `espirit`, or `jsense`, which has one set only.
        calibration: side of the calibration square.
        kernel: width of the kernel.
        threshold: of singular values.
        crop: of eigenvalues.
        n_sets: 1; with espirit also 2, for objects larger than the field of view.

    Raises:
        ValueError: as `estimate_maps`, or if the method has fewer sets.
    """
    coils, *grid = kspace.shape
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    if n_sets not in (1, 2) or (n_sets == 2 and method != "espirit"):
        raise ValueError(
            f"n_sets must be 1, or 2 with espirit, got n_sets={n_sets} with {method}; a second set "
            "is for objects larger than the field of view"
        )
    check_map_options(calibration, kernel, threshold, crop)
    require_finite("k-space", kspace, ("coil", "ky", "kz"), "repair it, or leave the slice out")
    if not kspace.any():
        return np.zeros((n_sets, *kspace.shape), np.complex64)
    if coils == 1:
        only = np.zeros((n_sets, *kspace.shape), np.complex64)
        only[0] = 1
        return only
    if calibration > min(grid):
        raise ValueError(
            "1 <= kernel <= calibration <= smallest side of the grid must hold, got kernel "
            f"{kernel}, calibration {calibration} and grid {tuple(grid)}; take smaller ones"
        )
    data = (kspace / np.abs(kspace).max()).astype(np.complex64)
    try:
        if method == "jsense":
            return _jsense(data, calibration, kernel)[None]
        return espirit(
            data,
            calibration=calibration,
            kernel=kernel,
            threshold=threshold,
            crop=crop,
            n_sets=n_sets,
        )
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"{method} found no maps in the {calibration} x {calibration} samples at the "
            f"centre ({error}); take another calibration or kernel, or maps=jsense"
        ) from error


def _cached(path: Path, shape: tuple[int, ...]) -> Complex[np.ndarray, "coils ky kz"]:
    maps = read_npy(path, "delete it and run again")
    if (maps.shape, maps.dtype) != (shape, np.complex64) or not np.isfinite(maps).all():
        raise ValueError(
            f"{path} holds no finite maps of shape {shape} in complex64; delete it and run again"
        )
    return maps


def _jsense(
    kspace: Complex[np.ndarray, "coils ky kz"], calibration: int, kernel: int
) -> Complex[np.ndarray, "coils ky kz"]:
    # sigpy compiles with numba when it is imported, which takes seconds
    from sigpy.mri import app

    estimator = app.JsenseRecon(
        kspace, ksp_calib_width=calibration, mps_ker_width=kernel, show_pbar=False
    )
    maps = np.nan_to_num(np.asarray(estimator.run(), np.complex64))
    norm = np.sqrt((np.abs(maps) ** 2).sum(0))
    return np.where(norm > 1e-6, maps / np.maximum(norm, 1e-6), 0).astype(np.complex64)


def noise_covariance(
    noise: Complex[np.ndarray, "coils samples"],
) -> Complex[np.ndarray, "coils coils"]:
    """Return the covariance of a noise-only measurement, Psi = N N^H / n_samples.

    Raises:
        ValueError: if there are fewer samples than coils, which makes Psi singular.
    """
    coils, samples = noise.shape
    if samples < coils:
        raise ValueError(
            f"noise covariance of {coils} coils needs at least as many samples, got {samples}; "
            "use the whole noise scan or leave out the whitening"
        )
    return noise @ noise.conj().T / samples


def whiten(
    kspace: Complex[np.ndarray, "*batch coils ky kz"],
    covariance: Complex[np.ndarray, "coils coils"],
) -> Complex[np.ndarray, "*batch coils ky kz"]:
    """Return data whose noise has unit variance and no correlation between coils.

    The result is in units of the noise's standard deviation; errors as `whitening_matrix`.
    """
    whitening = whitening_matrix(covariance).astype(kspace.dtype)
    return np.einsum("dc,...cyz->...dyz", whitening, kspace)


def whitening_matrix(
    covariance: Complex[np.ndarray, "coils coils"],
) -> Complex[np.ndarray, "coils coils"]:
    """Return L^-1 where Psi = L L^H: coils y become y_white = L^-1 y (Pruessmann et al. 2001).

    Raises:
        ValueError: if the covariance is not Hermitian positive definite.
    """
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "the noise covariance must be Hermitian and positive definite; a coil without noise "
            "is a coil that is not connected: leave it out"
        ) from error
    return np.linalg.inv(factor)


def compression_matrix(
    data: Complex[np.ndarray, "coils *samples"], n_virtual: int
) -> tuple[Complex[np.ndarray, "virtual coils"], float]:
    """Return the matrix from coils to virtual coils, and the share of energy that it keeps.

    The rows are the strongest left singular vectors of the data, conjugated (Buehrer et al. 2007).

    Raises:
        ValueError: if `n_virtual` is not between one and the number of coils.
    """
    coils = data.shape[0]
    if not 1 <= n_virtual <= coils:
        raise ValueError(f"n_virtual must be between 1 and {coils}, got {n_virtual}")
    flat = data.reshape(coils, -1)
    eigenvalues, vectors = np.linalg.eigh(flat @ flat.conj().T)
    kept = eigenvalues[::-1][:n_virtual].sum() / max(float(eigenvalues.sum()), 1e-30)
    return vectors[:, ::-1][:, :n_virtual].conj().T, float(kept)
