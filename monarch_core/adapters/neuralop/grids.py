"""How neuralop brings a spectrum to a grid of another size."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from monarch_core.layers.resample import basis_rows, interpolation_matrix


def cut_or_filled(
    rows: Float[Tensor, "2 heads modes n_out"],
    frequencies: Sequence[int],
    n: int,
    n_learned: int,
) -> Float[Tensor, "2 heads modes n_out"]:
    """Return rows of synthesis for a spectrum of n points that neuralop brings to n_out.

    Its layer gives `torch.fft.irfftn` the shape of the result, which cuts off or fills with zeros
    the end of each axis of a spectrum in which f < 0 stands at n + f. On every axis but the last,
    then, such a frequency is synthesised as n + f where n + f < n_out, and lost elsewhere:

        rows'[f, x] = r[f mod n, x] + exp(-2 pi i (f mod n - f) x / n_out) D[f, x], f mod n < n_out

    with r the rows exp(-2 pi i f x / n_out) / sqrt(n_learned) of B^H before learning, and D what
    learning has added to them.

    Args:
        rows: of B^H on n_out points, as the layer itself interpolates them; real part first.
        frequencies: of the rows.
        n: points that the fields come on.
        n_learned: points that the transform is learned on.
    """
    n_out = rows.shape[-1]
    place = [f % n for f in frequencies]
    shift = [there - f for there, f in zip(place, frequencies, strict=True)]
    before, exact, turn = (
        basis_rows(points, chosen, "fourier") * points**0.5
        for points, chosen in ((n_learned, frequencies), (n_out, place), (n_out, shift))
    )
    start = before @ interpolation_matrix(n_learned, n_out, "fourier").mT / n_learned**0.5
    (turn_real, turn_imag), (real, imag) = turn.to(rows), rows - start.unsqueeze(1).to(rows)
    added = torch.stack((turn_real * real - turn_imag * imag, turn_real * imag + turn_imag * real))
    fits = torch.tensor([there < n_out for there in place], device=rows.device)
    return torch.where(fits[:, None], exact.unsqueeze(1).to(rows) / n_learned**0.5 + added, 0)
