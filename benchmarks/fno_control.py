r"""An independent FNO-2D, to check the FFT control: same data, same recipe, no code in common.

Written from the description in Li et al. 2021 (arXiv:2010.08895), without batch norm, which its
authors removed, and with the GELU of their scripts. The paper does not state the initial spectral
weights: they are complex Gaussian of variance 1 / width, as in neuralop. The field is scaled by
mean and deviation of the training frames.

The two errors should agree within 5 % (mean over seeds). At the small preset,

    python pde/train.py -m model=fno transform=fft seed=0,1,2 fit.optimizer=adam \
        fit.learning_rate=3.2e-2 augment=false teacher_forcing=0
    python benchmarks/fno_control.py data/navier_stokes_nu0.001_32x32_T36_* --rate 3.2e-2 \
        --seeds 0 1 2

and at the published size, for a GPU,

    python pde/train.py -m experiment=navier_stokes_paper model=fno_paper_script transform=fft \
        seed=0,1,2
    python benchmarks/fno_control.py data/navier_stokes_nu0.001_64x64_T50_* --seeds 0 1 2 \
        --modes 12 --inputs 10 --outputs 40 --first 0 --spacing 1 \
        --epochs 500 --batch 20 --rate 1e-3 --decay 1e-4 --schedule step

The first command of each pair makes the data, below `data/`.
"""

import argparse
import logging
from pathlib import Path

import h5py
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

log = logging.getLogger(__name__)


class FourierLayer(nn.Module):
    """W v + b + F^-1 R F v, with R a matrix on the channels at each frequency in two corners.

    The corners are 0 <= k_1 < m and -m <= k_1 < 0, both with 0 <= k_2 < m; all others are cut off.
    """

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        shape = (2, width, width, modes, modes)  # corner, in, out, k_1, k_2
        self.R = nn.Parameter(torch.randn(shape, dtype=torch.cfloat) / width**0.5)
        self.W = nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor) -> Tensor:
        """Map fields (batch, width, x, y)."""
        m = self.modes
        v_hat = torch.fft.rfft2(v)
        out_hat = torch.zeros_like(v_hat)
        for rows, R in ((slice(m), self.R[0]), (slice(-m, None), self.R[1])):
            out_hat[:, :, rows, :m] = torch.einsum("bixy,ioxy->boxy", v_hat[:, :, rows, :m], R)
        return self.W(v) + torch.fft.irfft2(out_hat, s=v.shape[-2:])


class FNO(nn.Module):
    """Lift frames and coordinates, four Fourier layers with gelu between, project to one frame."""

    def __init__(self, n_inputs: int, width: int, modes: int) -> None:
        super().__init__()
        self.lift = nn.Conv2d(n_inputs + 2, width, 1)
        self.layers = nn.ModuleList(FourierLayer(width, modes) for _ in range(4))
        self.project = nn.Sequential(nn.Conv2d(width, 128, 1), nn.GELU(), nn.Conv2d(128, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (batch, n_inputs, x, y) to the next one."""
        axes = [torch.arange(n, device=frames.device) / n for n in frames.shape[-2:]]
        coordinates = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        coordinates = coordinates.expand(len(frames), -1, -1, -1)
        v = self.lift(torch.cat((frames, coordinates), dim=1))
        for layer in self.layers[:-1]:
            v = gelu(layer(v))
        return self.project(self.layers[-1](v))


def roll_out(model: nn.Module, frames: Tensor, n_steps: int) -> Tensor:
    """Return the next frames, each predicted from predictions."""
    window, predictions = frames, []
    for _ in range(n_steps):
        predictions.append(model(window))
        window = torch.cat((window[:, 1:], predictions[-1]), dim=1)
    return torch.cat(predictions, dim=1)


def read(folder: Path, split: str, frames: slice) -> Tensor:
    """Return the used frames of a split in The Well's layout, (trajectory, time, x, y)."""
    (path,) = (folder / "data" / split).glob("*.hdf5")
    with h5py.File(path) as file:
        return torch.from_numpy(file["t0_fields/vorticity"][:, frames]).float()


def train(options: argparse.Namespace, data: Tensor, seed: int) -> nn.Module:
    """Return a network trained on scaled trajectories."""
    torch.manual_seed(seed)
    n, n_batches = options.inputs, -(-len(data) // options.batch)
    model = FNO(n, options.width, options.modes).to(data.device)
    optimizer = torch.optim.Adam(model.parameters(), options.rate, weight_decay=options.decay)
    schedule: torch.optim.lr_scheduler.LRScheduler
    if options.schedule == "step":
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 100 * n_batches, 0.5)
    else:
        n_steps = options.epochs * n_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, n_steps)
    for epoch in range(options.epochs):
        total = 0.0
        for batch in torch.randperm(len(data)).split(options.batch):
            past, future = data[batch].tensor_split([n], dim=1)
            # The error is relative to the field itself, so its scale comes back here.
            error = (roll_out(model, past, future.shape[1]) - future) * options.std
            truth = future * options.std + options.mean
            relative = error.flatten(2).norm(dim=2) / truth.flatten(2).norm(dim=2)
            loss = relative.sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        log.info("seed %d, epoch %d: loss %.4f", seed, epoch + 1, total / len(data))
    return model


@torch.no_grad()
def test_error(model: nn.Module, options: argparse.Namespace, data: Tensor) -> float:
    """Return the mean over trajectories of the relative L2 error of the whole roll-out."""
    errors = []
    for batch in data.split(options.batch):
        past, future = batch.tensor_split([options.inputs], dim=1)
        error = (roll_out(model, past, future.shape[1]) - future) * options.std
        truth = future * options.std + options.mean
        errors.append(error.flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1))
    return torch.cat(errors).mean().item()


def main() -> None:
    """Train, and log the test error of every seed and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="data in The Well's layout")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    for name, count in (("modes", 8), ("width", 20), ("epochs", 30), ("batch", 5)):
        parser.add_argument(f"--{name}", type=int, default=count)
    for name, count in (("inputs", 4), ("outputs", 5), ("first", 3), ("spacing", 4)):
        parser.add_argument(f"--{name}", type=int, default=count, help="frames, as in the dataset")
    parser.add_argument("--rate", type=float, default=1.6e-2)
    parser.add_argument("--decay", type=float, default=1e-5)
    parser.add_argument("--schedule", choices=("one_cycle", "step"), default="one_cycle")
    options = parser.parse_args()
    n_used = options.inputs + options.outputs
    frames = slice(options.first, options.first + options.spacing * (n_used - 1) + 1)
    frames = slice(frames.start, frames.stop, options.spacing)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fields, tests = (read(options.folder, split, frames).to(device) for split in ("train", "test"))
    options.mean, options.std = fields.mean().item(), fields.std().item()
    fields, tests = ((data - options.mean) / options.std for data in (fields, tests))
    errors = []
    for seed in options.seeds:
        errors.append(test_error(train(options, fields, seed), options, tests))
        log.info("seed %d: relative_l2 %.5f", seed, errors[-1])
    log.info("mean over seeds: relative_l2 %.5f", sum(errors) / len(errors))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
