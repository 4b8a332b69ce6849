"""SOAP: Adam in the eigenbasis of the gradient's second moments along every axis of a weight."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# Steps between two refinements of the eigenbases.
REFINE_EVERY = 5


class Soap(Optimizer):
    """The optimiser of Vyas et al. 2024 (arXiv:2409.11321), for weights of any number of axes.

    With G the gradient, G_d the same tensor as a matrix of axis d against all others, and Q^T X the
    product of every axis d of X with Q_d^T:

        C_d <- b2 C_d + (1 - b2) G_d G_d^T,    Q_d the eigenvectors of C_d           (1)
        M <- b1 M + (1 - b1) G,    V <- b2 V + (1 - b2) (Q^T G)^2                    (2)
        W <- (1 - lr weight_decay) W - lr Q [Q^T M / (sqrt(V) + eps)]                (3)

    where M and V are divided by 1 - b^t as in Adam. Q_d starts as the eigenvectors of the first
    C_d; every few steps one power iteration and a QR decomposition follow C_d. Complex weights,
    such as those of neuralop's layers, count as real ones with an axis more.

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate.
        betas: (b1, b2).
        eps: in (3).
        weight_decay: decoupled, as in AdamW.
        max_axis: axes longer than this have Q_d = 1, and so have weights of a single axis; with 0
            the group is trained by Adam.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        max_axis: int = 256,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "max_axis": max_axis,
            },
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; returns the loss of the closure, if there is one.

        Raises:
            ValueError: the gradient is not finite; weights and state are as they were.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        parameters = [p for group in self.param_groups for p in group["params"]]
        norm = nn.utils.get_total_norm(p.grad for p in parameters if p.grad is not None)
        if not norm.isfinite():
            raise ValueError(
                f"the gradient has norm {norm:g}, which would spoil the eigenbases for good; leave "
                "this step out, lower the learning rate or clip the gradient"
            )
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    W, G = _as_real(parameter), _as_real(parameter.grad)
                    _advance(W, G, self.state[parameter], group)
        return loss


def _advance(W: Tensor, G: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    b1, b2 = group["betas"]
    if not state:
        state.update(t=0, M=torch.zeros_like(W), V=torch.zeros_like(W))
        axes = [d for d, n in enumerate(W.shape) if W.ndim > 1 and 1 < n <= group["max_axis"]]
        state["C"] = {d: W.new_zeros(W.shape[d], W.shape[d]) for d in axes}
        state["Q"] = {}
    C, Q, M, V = (state[name] for name in "CQMV")
    for d in C:
        G_d = G.movedim(d, 0).flatten(1)
        C[d].lerp_(G_d @ G_d.mT, 1 - b2)  # (1)
        if state["t"] == 0:
            Q[d] = torch.linalg.eigh(C[d]).eigenvectors
        elif state["t"] % REFINE_EVERY == 0:
            V.copy_(_refine(C[d], Q, d, V))
    state["t"] += 1
    M.lerp_(G, 1 - b1)  # (2)
    V.lerp_(_rotate(G, Q).square(), 1 - b2)
    M_t, V_t = M / (1 - b1 ** state["t"]), V / (1 - b2 ** state["t"])
    step = _rotate(_rotate(M_t, Q) / (V_t.sqrt() + group["eps"]), Q, back=True)
    W.mul_(1 - group["lr"] * group["weight_decay"]).add_(step, alpha=-group["lr"])  # (3)


def _refine(C_d: Tensor, Q: dict[int, Tensor], d: int, V: Tensor) -> Tensor:
    """Move Q_d towards the eigenvectors of C_d, sorted; return V with its axis in that order."""
    product = C_d @ Q[d]
    order = (Q[d] * product).sum(0).argsort(descending=True)
    Q[d] = torch.linalg.qr(product[:, order]).Q
    return V.index_select(d, order)


def _rotate(x: Tensor, Q: dict[int, Tensor], *, back: bool = False) -> Tensor:
    """Return Q^T x, or Q x."""
    for d, Q_d in Q.items():
        x = (x.movedim(d, -1) @ (Q_d.mT if back else Q_d)).movedim(-1, d)
    return x


def _as_real(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x
