"""Time steps of a batch in which every field has its own."""

from collections.abc import Callable

import torch
from jaxtyping import Complex, Int, Num
from torch import Tensor


def integrate_each(
    step: Callable[[Tensor, Tensor, Tensor], Tensor],
    state: Complex[Tensor, "batch *modes"],
    h: Num[Tensor, "batch *ones"],
    decay: Num[Tensor, "batch *modes"],
    n_steps: Int[Tensor, " batch"],
) -> Complex[Tensor, "batch *modes"]:
    """Return the state after n_steps[i] steps of field i, whatever the others in the batch do.

    Args:
        step: takes the state, h and decay of some fields, and returns their state one step later.
        state: coefficients of every field.
        h: length of a step.
        decay: what diffusion leaves of a coefficient in half a step.
        n_steps: at least one.
    """
    # Sorted, the fields that still have steps to go are always the first ones.
    n_steps, order = n_steps.sort(descending=True)
    u, h, decay = state[order], h[order], decay[order]
    counts = n_steps.tolist()
    active = len(counts)
    for done in range(counts[0]):
        while counts[active - 1] <= done:
            active -= 1
        u[:active] = step(u[:active], h[:active], decay[:active])
    return u[torch.argsort(order)]
