"""ESPIRiT: one or more sets of coil maps from the centre of k-space (Uecker et al. 2014).

The rows of the calibration matrix are all k x k patches of the calibration square, of all coils.
Its right singular vectors above a threshold, w_j, span the k-space that the coils can produce, and

    A(r) = 1/k^2 sum_j a_j(r) a_j(r)^H,   a_j(r) = sum_m w_j[m] exp(2 pi i m . r / n)    (1)

projects the coils' values at the pixel r: the maps are its eigenvectors with eigenvalue one. Where
the object is larger than the field of view, two places fold into one pixel and two eigenvalues are
one: a second set of maps is needed there (doi:10.1002/mrm.24751).
"""

import numpy as np
from jaxtyping import Complex, Float

from data_scripts.mri.centred_fft import resize_centred

_ITERATIONS = 100
_BLOCK_BYTES = 1 << 20  # of A, small enough to stay near the processor


def espirit(
    kspace: Complex[np.ndarray, "coils ky kz"],
    *,
    calibration: int,
    kernel: int,
    threshold: float,
    crop: float,
    n_sets: int = 1,
) -> Complex[np.ndarray, "sets coils ky kz"]:
    """Return sets of maps of unit norm over the coils, zero where they have no support.

    The phase of the first coil is zero. The first set is what `sigpy.mri.app.EspiritCalib` returns.

    Args:
        kspace: sampled in the central square at least, with signal there; any unit.
        calibration: side of that square, in samples.
        kernel: width k of the patches, in samples.
        threshold: singular values count that are more than this share of the largest.
        crop: a pixel has a map where the eigenvalue is above this.
        n_sets: how many sets, the one of the largest eigenvalue first.

    Raises:
        numpy.linalg.LinAlgError: if the singular values cannot be computed.
    """
    n_coils, n_y, n_z = kspace.shape
    taps = _correlations(kspace, calibration, kernel, threshold)
    waves_y, waves_z = _waves(n_y, kernel), _waves(n_z, kernel)
    along_z = taps @ waves_z
    maps = np.empty((n_sets, n_coils, n_y, n_z), np.complex64)
    n_rows = max(1, _BLOCK_BYTES // (8 * n_coils**2 * n_z))
    for start in range(0, n_y, n_rows):
        rows = slice(start, start + n_rows)
        # (coils, coils, rows, z), pixels last: every product below runs along them
        A = np.einsum("my,cdmz->cdyz", waves_y[:, rows], along_z, optimize=True)
        vectors, values = _eigenvectors(A.reshape(n_coils, n_coils, -1), n_sets)
        shape = (n_sets, n_coils, -1, n_z)
        maps[:, :, rows] = (vectors * (values > crop)[:, None]).reshape(shape)
    return maps


def _correlations(
    kspace: Complex[np.ndarray, "coils ky kz"], calibration: int, kernel: int, threshold: float
) -> Complex[np.ndarray, "coils coils lags lags"]:
    """Return the coefficients of A, sum_j sum_m w_j[c, m + d] conj(w_j[c', m]) / k^2, by lag d."""
    n_coils = len(kspace)
    square = resize_centred(kspace, (calibration, calibration))
    patches = np.lib.stride_tricks.sliding_window_view(square, (kernel, kernel), (1, 2))
    matrix = patches.transpose(1, 2, 0, 3, 4).reshape(-1, n_coils * kernel**2)
    _, sizes, rows = np.linalg.svd(matrix, full_matrices=False)
    w = rows[sizes > threshold * sizes.max()]
    pairs = (w.T @ w.conj()).reshape(n_coils, kernel, kernel, n_coils, kernel, kernel)
    lags = range(1 - kernel, kernel)
    taps = np.zeros((n_coils, n_coils, 2 * kernel - 1, 2 * kernel - 1), np.complex64)
    for i, lag_y in enumerate(lags):
        from_y = range(max(0, -lag_y), min(kernel, kernel - lag_y))
        for j, lag_z in enumerate(lags):
            from_z = range(max(0, -lag_z), min(kernel, kernel - lag_z))
            taps[:, :, i, j] = sum(
                pairs[:, y + lag_y, z + lag_z, :, y, z] for y in from_y for z in from_z
            )
    return taps / np.float32(kernel**2)


def _waves(n: int, kernel: int) -> Complex[np.ndarray, "lags n"]:
    lags, pixels = np.arange(1 - kernel, kernel), np.arange(n) - n // 2
    return np.exp(2j * np.pi * np.outer(lags, pixels) / n).astype(np.complex64)


def _eigenvectors(
    A: Complex[np.ndarray, "coils coils pixels"], n_sets: int
) -> tuple[Complex[np.ndarray, "sets coils pixels"], Float[np.ndarray, "sets pixels"]]:
    """Return the eigenvectors of the largest eigenvalues by power iterations from ones.

    A further set is kept orthogonal to those before it. Where two eigenvalues are equal, a set is
    the part of the ones that lies in their space, and the next what is left of the space.
    """
    vectors = np.empty((n_sets, *A.shape[1:]), np.complex64)
    values = np.empty((n_sets, A.shape[2]), np.float32)
    for number in range(n_sets):
        x = np.ones(A.shape[1:], np.complex64)
        if number:  # ones may have no part that is orthogonal to the sets before
            x[number % len(x)] = -1
        size = np.ones(A.shape[2], np.float32)
        for _ in range(_ITERATIONS):
            x = (A * x).sum(1)
            for before in vectors[:number]:
                x -= before * (before.conj() * x).sum(0)
            size = np.sqrt((np.abs(x) ** 2).sum(0))
            x /= np.maximum(size, np.finfo(np.float32).tiny)
        first = np.abs(x[0])
        turn = np.where(first > 0, x[0].conj() / np.maximum(first, 1e-30), 1)
        vectors[number], values[number] = x * turn, size
    return vectors, values
