"""How a model is trained: the values of the fit loop, checked as soon as they exist."""

import math
from dataclasses import dataclass, field

from monarch_core.runs.ranges import MOST, check_ranges

OPTIMIZERS = ("adam", "adamw", "soap")
SCHEDULES = ("one_cycle", "cosine", "trapezoid", "step", "constant")
PRECISIONS = ("32-true", "tf32", "bf16-mixed")
ACCELERATORS = ("auto", "cpu", "cuda", "mps")
MOST_THREADS = 1024  # with far more, torch ends the process
RANGES = {
    "epochs": (1, MOST),
    "batch_size": (1, MOST),
    "step_epochs": (1, MOST),
    "checkpoint_every": (1, MOST),
    "devices": (1, MOST),
    "num_workers": (0, MOST_THREADS),
    "n_threads": (1, MOST_THREADS),
}


@dataclass
class FitConfig:
    """Values of the fit loop; the defaults are the recipe of Li et al. 2020 (arXiv:2010.08895).

    Attributes:
        epochs: passes over the training split.
        batch_size: samples per optimiser step, over all processes together, so that a run over
            several processes is the same run up to the rounding of its gradients. With Adam the
            weights then agree to five digits. With SOAP they do not: the first gradients leave
            most eigenvectors to rounding, and nudging them by one unit in the last place moves the
            weights as far as a second process does (2.6 % and 2.1 % after 24 steps of a small
            problem, in float64 too; its validation error by 0.01 % and 0.3 %). After 12 steps of an
            FNO on 8 samples, nudged weights and a second process are both 23 % away, and the
            validation error is 0.289 and 0.364 in the place of 0.311.
        optimizer: "adam" (weight decay added to the gradient), "adamw" (decoupled) or "soap" (Adam
            in the eigenbases of the gradients, decoupled decay; `Soap`).
        learning_rate: peak rate of all parameters outside the transforms.
        transform_learning_rate: peak rate of the parameters of the transforms. null: chosen by a
            trial of the first 15 % of the epochs, after which training begins anew: 3 times
            `learning_rate` times the root mean square of their entries if leaving their start pays,
            else a hundredth of it (`rate_by_trial`).
        block_rates: multiply `learning_rate` for the factors of structured layers by what their
            blocks ask for (`StructuredLinear.rate_factors`), so that the rate of a dense network
            is that of a structured one.
        weight_decay: of the parameters outside the transforms; those of transforms have none.
        schedule: how both rates change: "one_cycle" (Smith and Topin 2017, arXiv:1708.07120) and
            "cosine" (to zero) per step; "trapezoid": a linear rise over the first twentieth of the
            steps, the peak rate, and a linear fall to zero over the last `decay` of them; "step"
            every `step_epochs` epochs; or "constant".
        decay: fraction of the steps in which the "trapezoid" schedule falls.
        restarts: epochs after which the schedules that end at zero begin anew, over the epochs up
            to the next of them or the end (warm restarts; Loshchilov and Hutter 2017,
            arXiv:1608.03983). `resume=RUN fit.epochs=N` adds the end of the run so far. The "step"
            and "constant" schedules, which know no end, go on.
        step_epochs: epochs between two drops of the "step" schedule.
        step_factor: factor of each drop of the "step" schedule.
        gradient_clip: largest 2-norm of the gradient of all parameters; null does not clip.
        precision: "32-true"; "tf32" for matrix products that a GPU may round to TF32; or
            "bf16-mixed" for bfloat16 autocast in the forward pass with weights, inputs and loss in
            float32, which no run starts with on a CPU that has no instructions for it. The final
            evaluation is in float32.
        compile: compile the model before training (`torch.compile`; CUDA graphs on a GPU): minutes
            at the start, for less time per epoch. On a CPU, networks on two axes in float32 are
            faster without: the compiler takes torch's products in the place of the kernel.
        accelerator: "auto" (CUDA when there is a GPU, else CPU), "cpu", "cuda" or "mps".
        devices: processes, one per device; above one the script is started by torchrun.
        num_workers: processes that load data, beside each training process; 0 loads in line.
        n_threads: CPU threads of each process; null takes the cores it may use.
        checkpoint_every: epochs between two checkpoints; the last epoch always has one.
    """

    epochs: int = 500
    batch_size: int = 20
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    transform_learning_rate: float | None = None
    block_rates: bool = False
    weight_decay: float = 1e-4
    schedule: str = "step"
    decay: float = 0.2
    restarts: list[int] = field(default_factory=list)
    step_epochs: int = 100
    step_factor: float = 0.5
    gradient_clip: float | None = None
    precision: str = "32-true"
    compile: bool = False
    accelerator: str = "auto"
    devices: int = 1
    num_workers: int = 0
    n_threads: int | None = None
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: naming the key, its value and what would be accepted.
        """
        check_ranges(self, "fit", RANGES)
        for key in ("learning_rate", "step_factor"):
            value = getattr(self, key)
            self._require(key, 0 < value < math.inf, "a positive number")
        rate = self.transform_learning_rate
        self._require(
            "transform_learning_rate",
            rate is None or 0 < rate < math.inf,
            "null or a positive number",
        )
        self._require("weight_decay", 0 <= self.weight_decay < math.inf, "0 or a positive number")
        self._require("decay", 0 < self.decay <= 1, "above 0 and at most 1")
        ends = self.cycle_ends
        self._require(
            "restarts",
            all(a < b for a, b in zip([0, *ends], ends, strict=False)),
            f"epochs in ascending order, from 1 to below fit.epochs={self.epochs}",
        )
        clip = self.gradient_clip
        self._require("gradient_clip", clip is None or clip > 0, "null or a positive number")
        for key, known in [
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("accelerator", ACCELERATORS),
        ]:
            self._require(key, getattr(self, key) in known, f"one of {', '.join(known)}")

    @property
    def cycle_ends(self) -> list[int]:
        """Epochs after which a cycle of the schedule ends: where it begins anew, and the last."""
        return [*self.restarts, self.epochs]

    def _require(self, key: str, is_valid: bool, remedy: str) -> None:
        if not is_valid:
            raise ValueError(f"fit.{key} must be {remedy}, got {getattr(self, key)!r}")
