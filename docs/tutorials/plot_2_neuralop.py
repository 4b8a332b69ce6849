"""
Plug into neuralop
==================

One line of a network of ``neuralop`` changes. Before learning the new network computes what the old
one does; then both are trained on waves in a fixed layered medium, where a learned transform pays.
"""

# %%
# The problem
# -----------
# A string of 128 points between two walls whose wave speed is a fixed function of place. Given the
# field at rest, predict it after one unit of time. The medium is the same in every sample.

import time

import matplotlib.pyplot as plt
import numpy as np
import torch

n, n_train, n_test = 128, 600, 200
rng = np.random.default_rng(0)
x = np.arange(1, n + 1) / (n + 1)
c2 = np.exp(np.repeat(rng.uniform(-0.7, 0.7, 8), n // 8))  # squared wave speed, in 8 layers
gradient = (np.eye(n + 1, n) - np.eye(n + 1, n, k=-1)) * (n + 1)
between = np.concatenate(([c2[0]], (c2[1:] + c2[:-1]) / 2, [c2[-1]]))
eigenvalues, modes = np.linalg.eigh(gradient.T @ (between[:, None] * gradient))
propagator = modes @ np.diag(np.cos(np.sqrt(eigenvalues))) @ modes.T

k = np.arange(1, 33)
start = rng.normal(size=(n_train + n_test, 32)) * np.exp(-((0.06 * np.pi * k) ** 2) / 2)
before = start @ np.sin(np.pi * np.outer(k, x))
before /= np.sqrt((before**2).mean(axis=1, keepdims=True))
fields = torch.tensor(np.stack([before, before @ propagator.T], axis=1), dtype=torch.float32)
train, test = fields[:n_train], fields[n_train:]

figure, axes = plt.subplots(2, 1, sharex=True, layout="constrained")
axes[0].step(x, np.sqrt(c2), where="mid")
axes[0].set(ylabel="wave speed (lengths / time)")
axes[1].plot(x, fields[0].T, label=["t = 0", "t = 1"])
axes[1].set(xlabel="x (lengths of the domain)", ylabel="u")
axes[1].legend()

# %%
# The line that changes
# ---------------------
# ``configured`` binds what a network of neuralop does not pass on by itself.

from neuralop.models import FNO

from monarch_core import MonarchSpectralConv

sizes = dict(n_modes=(32,), in_channels=1, out_channels=1, hidden_channels=24, n_layers=2)


def fno(**options: object) -> FNO:
    torch.manual_seed(0)
    return FNO(**sizes, **options)


fft = fno()
monarch = fno(conv_module=MonarchSpectralConv.configured(grid=(n,)))

# %%
# With one seed both have the same weights, and compute the same function.

with torch.no_grad():
    u = test[:, :1]
    print(f"largest difference: {(fft(u) - monarch(u)).abs().max():.1e}")
for name, model in (("fft", fft), ("monarch", monarch)):
    print(f"{name:8} {sum(p.numel() * (1 + p.is_complex()) for p in model.parameters()):,} numbers")

# %%
# Learning
# --------
# The same data in the same order, the same optimiser, schedule and number of epochs. The factors of
# the transforms get a rate of their own; ``is_transform`` marks them. The rates are those of
# ``experiment=wave_layered``, where each of the two had as many trials as the other.

from monarch_core import LinearTransform


def relative_l2(model: FNO, pairs: torch.Tensor) -> torch.Tensor:
    error = model(pairs[:, :1]) - pairs[:, 1:]
    return (error.norm(dim=-1) / pairs[:, 1:].norm(dim=-1)).mean()


def learn(model: FNO, rate: float, factor_rate: float, epochs: int = 20) -> list[float]:
    inside = {p for m in model.modules() if isinstance(m, LinearTransform) for p in m.parameters()}
    groups = [
        {"params": [p for p in model.parameters() if p not in inside], "lr": rate},
        {"params": list(inside), "lr": factor_rate},
    ]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.Adam(groups)
    n_steps = epochs * n_train // 20
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=n_steps
    )
    order, errors = torch.Generator().manual_seed(0), []
    for _ in range(epochs):
        for batch in torch.randperm(n_train, generator=order).split(20):
            optimizer.zero_grad()
            relative_l2(model, train[batch]).backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            errors.append(relative_l2(model, test).item())
    return errors


torch.set_num_threads(1)
history = {}
for name, model, rate in (("fft", fft, 4e-2), ("monarch", monarch, 2e-2)):
    begin = time.perf_counter()
    history[name] = learn(model, rate, 1e-2)
    seconds = time.perf_counter() - begin
    print(f"{name:8} relative L2 on the test split {history[name][-1]:.4f}, {seconds:.0f} s")
print(f"change   {100 * (history['monarch'][-1] / history['fft'][-1] - 1):+.0f} % (one seed)")

figure, axes = plt.subplots(layout="constrained")
for name, errors in history.items():
    axes.semilogy(range(1, len(errors) + 1), errors, label=name)
axes.set(xlabel="epoch", ylabel="relative L2, test split")
axes.legend()

# %%
# One seed is no claim; :doc:`when to learn </docs/when>` has three, with controls that are deeper,
# wider and padded. On a periodic, homogeneous problem the same script finds nothing to gain.
#
# What it has learned
# -------------------
# Each row of the transform was a cosine and a sine. Afterwards the rows bend with the medium.

A = monarch.fno_blocks.convs[0].forward_transforms[0].dense().detach()
figure, axes = plt.subplots(2, 1, sharex=True, layout="constrained")
for axis, f in zip(axes, (3, 8), strict=True):
    axis.plot(x, np.cos(2 * np.pi * f * np.arange(n) / n) / np.sqrt(n), ":", label="before")
    axis.plot(x, A[f].real, label="after")
    axis.set(ylabel=f"row {f}, real part")
axes[0].legend()
axes[1].set(xlabel="x (lengths of the domain)")

# %%
# Saving and loading
# ------------------
# neuralop puts the arguments of a model beside its weights, classes among them. Without these the
# file holds tensors alone, and loads with ``weights_only=True``; ``save_checkpoint`` and
# ``from_checkpoint`` of neuralop work, too.

import tempfile
from pathlib import Path

file = Path(tempfile.mkdtemp()) / "monarch.pt"
weights = {name: value for name, value in monarch.state_dict().items() if name != "_metadata"}
torch.save(weights, file)
again = fno(conv_module=MonarchSpectralConv.configured(grid=(n,)))
again.load_state_dict(torch.load(file, weights_only=True))
with torch.no_grad():
    print("the same as before:", torch.equal(again(u), monarch(u)))
