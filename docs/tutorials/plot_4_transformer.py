"""
Monarchize a transformer
========================

Dense layers of a trained GPT-2 become the nearest Monarch matrices, q, k and v one by one. A report
tells what each has lost, a little fine-tuning brings most of it back, and the model is saved.
"""

# %%
# A dense model
# -------------
# A small GPT-2 with random weights learns the source code of Python's ``argparse``, byte by byte.
# The last tenth of the text is held out.

import argparse
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

transformers.logging.set_verbosity_error()  # of special tokens, which bytes do not have

torch.set_num_threads(1)
text = torch.tensor(list(Path(argparse.__file__).read_bytes()))
cut = int(0.9 * len(text))
length, batch = 64, 16


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = dict(vocab_size=256, n_positions=length, n_embd=128, n_layer=2, n_head=4)
    return GPT2LMHeadModel(GPT2Config(**sizes, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))


def loss(model: GPT2LMHeadModel, tokens: torch.Tensor) -> torch.Tensor:
    return model(input_ids=tokens, labels=tokens).loss


@torch.no_grad()
def held_out(model: GPT2LMHeadModel) -> float:
    rest = text[cut:]
    return loss(model, rest[: len(rest) // length * length].view(-1, length)).item()


def learn(model: GPT2LMHeadModel, steps: int, rate: float) -> list[tuple[int, float]]:
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    random, history = torch.Generator().manual_seed(0), [(0, held_out(model))]
    for step in range(1, steps + 1):
        starts = torch.randint(cut - length, (batch,), generator=random)
        optimizer.zero_grad()
        loss(model, torch.stack([text[i : i + length] for i in starts])).backward()
        optimizer.step()
        schedule.step()
        if step % 25 == 0:
            history.append((step, held_out(model)))
    return history


model, begin = gpt2(), time.perf_counter()
dense = learn(model, 300, 2e-3)
n_dense = model.num_parameters()
seconds = time.perf_counter() - begin
print(f"dense: {dense[-1][1]:.3f} nats per byte, held out, after {seconds:.0f} s")

# %%
# Projection
# ----------
# Every linear layer is replaced by the Monarch matrix nearest to it in Frobenius norm. The residual
# is the relative distance. The head shares its weight with the embedding and stays as it is.

import copy

from monarch_core import monarchize

unchanged = copy.deepcopy(model)
monarchize(model, n_blocks=4, report=print)
print(f"{n_dense:,} parameters before, {model.num_parameters():,} now")
print(f"projected: {held_out(model):.3f} nats per byte")

# %%
# Fine-tuning
# -----------
# The optimiser is made after the exchange.

begin = time.perf_counter()
tuned = learn(model, 100, 1e-3)
print(f"fine-tuned: {tuned[-1][1]:.3f} nats per byte after {time.perf_counter() - begin:.0f} s")

# %%
# Two controls with the same steps: the dense model trained on, and a Monarch that starts from the
# projection of an untrained model.

longer = learn(unchanged, 100, 1e-3)
scratch = learn(monarchize(gpt2(), n_blocks=4), 100, 1e-3)
print(f"dense, trained on: {longer[-1][1]:.3f} nats per byte")
print(f"Monarch, untrained: {scratch[-1][1]:.3f} nats per byte")

figure, axes = plt.subplots(layout="constrained")
axes.plot(*zip(*dense, strict=True), label="dense")
for label, history, first in (
    ("dense, trained on", longer, dense[-1][0]),
    ("Monarch, projected", tuned, dense[-1][0]),
    ("Monarch, untrained", scratch, 0),
):
    axes.plot([first + step for step, _ in history], [value for _, value in history], label=label)
axes.set(xlabel="step", ylabel="loss, held out (nats per byte)")
axes.legend()

# %%
# Saving, loading, and back to dense
# ----------------------------------
# A state dict and a small JSON are enough, beside the code of the dense model.

from monarch_core import densify, load_monarchized, save_monarchized

folder = tempfile.mkdtemp()
save_monarchized(model, folder)
again = load_monarchized(gpt2(), folder)
tokens = text[:length][None]
with torch.no_grad():
    print("the same as before:", torch.equal(again(tokens).logits, model(tokens).logits))

# %%
# ``densify`` multiplies the factors out, under the names of before: the model is an ordinary GPT-2
# again, which every tool of ``transformers`` knows.

with torch.no_grad():
    before = model(tokens).logits
    after = densify(model)(tokens).logits
print(type(model.transformer.h[0].attn.c_attn).__name__)
print(f"largest difference of the logits: {(before - after).abs().max():.0e}")
