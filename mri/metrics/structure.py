"""Structural similarity as something to learn by: differentiable, in torch.

`mri.metrics.volumes` measures it, by scikit-image; a test compares the two.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d

SIDE, SIGMA, K_1, K_2 = 11, 1.5, 0.01, 0.03


def structural_similarity(
    p: Float[Tensor, "*batch h w"], t: Float[Tensor, "*batch h w"]
) -> Float[Tensor, " images"]:
    """Return the mean structural similarity of each image with signal (Wang et al. 2004).

        S = (2 m_p m_t + c_1) (2 s_pt + c_2) / ((m_p^2 + m_t^2 + c_1) (s_p^2 + s_t^2 + c_2))

    m, s^2 and s_pt are means, variances and the covariance under a Gaussian window of 11 x 11
    pixels with a deviation of 1.5; c_i = (K_i max t)^2 with K = 0.01, 0.03. The mean is over the
    windows that lie within the image. An image whose target is zero everywhere has no value, and is
    left out.

    Args:
        p: magnitudes, in any unit.
        t: magnitudes of the targets, in the same unit.

    Raises:
        ValueError: an image is smaller than the window.
    """
    height, width = t.shape[-2:]
    if min(height, width) < SIDE:
        raise ValueError(
            f"SSIM needs at least {SIDE} x {SIDE} pixels, got {height} x {width}; use loss=l2"
        )
    p, t = p.reshape(-1, 1, height, width), t.reshape(-1, 1, height, width)
    peak = t.amax((-2, -1), keepdim=True)
    has_signal = peak.flatten() > 0
    p, t, peak = p[has_signal], t[has_signal], peak[has_signal]
    p, t = p / peak, t / peak
    moments = _windows(torch.cat([p, t, p * p, t * t, p * t], 1))
    m_p, m_t, pp, tt, pt = moments.unbind(1)
    s_p, s_t, s_pt = pp - m_p * m_p, tt - m_t * m_t, pt - m_p * m_t
    c_1, c_2 = K_1**2, K_2**2
    luminance = (2 * m_p * m_t + c_1) / (m_p * m_p + m_t * m_t + c_1)
    return (luminance * (2 * s_pt + c_2) / (s_p + s_t + c_2)).mean((-2, -1))


def _windows(
    x: Float[Tensor, "images moments h w"],
) -> Float[Tensor, "images moments windows_h windows_w"]:
    """Return the Gaussian mean of every window within the image."""
    offsets = torch.arange(SIDE, dtype=x.dtype, device=x.device) - SIDE // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights = (weights / weights.sum()).expand(x.shape[1], 1, 1, SIDE)
    rows = conv2d(x, weights, groups=x.shape[1])
    return conv2d(rows, weights.mT, groups=x.shape[1])
