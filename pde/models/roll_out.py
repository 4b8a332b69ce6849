"""The roll-out in time that turns a network from frames to frames into a trajectory."""

from collections.abc import Callable
from functools import partial, wraps

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset

from monarch_core.transforms import prepared
from pde.models.moments import moments_of

Sample = tuple[tuple[Tensor, ...], Tensor]
Step = Callable[[Tensor], Tensor]
Error = Callable[[Tensor, Tensor], Tensor]
NORMALIZATIONS = ("field", "role", "none")


class RollOut(nn.Module):
    """Predict a trajectory from its first frames, one application of a network at a time.

        w[t], ..., w[t + s - 1] = step(w[t - n_input_frames], ..., w[t - 1])

    The s predicted frames (one for most networks) are fed back as input until there are enough, and
    back-propagation runs through all applications. Frames of several channels lie on one axis, the
    channels of the first frame before those of the second; what is given and does not evolve, the
    constants, follows the frames in every application. Where the true frames are given, every step
    starts from them instead (teacher forcing), all but the first side by side. Means and standard
    deviations are part of the model (`normalize_to`) and saved with its weights, so that inputs and
    outputs are in physical units.

    Args:
        step: network from (batch, n_input_frames * n_channels + n_constants, *grid) to
            (batch, s * n_channels, *grid), of unit scale.
        n_steps: frames to predict unless `forward` is told otherwise.
        normalization: "field" scales all frames alike; "role" scales inputs and outputs each by
            their own mean and deviation, for data in which they are two quantities and nothing is
            fed back; "none" leaves them as they are. Channels and constants have scales of their
            own.
        n_channels: of a frame.
        n_constants: channels of the input that do not evolve.
        checkpoint_steps: in training, keep only the input of every step, and compute the step again
            for the gradient: memory of one step beside the frames, for a second forward pass.

    Raises:
        ValueError: for an unknown normalization.
    """

    mean: Tensor
    std: Tensor
    output_mean: Tensor
    output_std: Tensor

    def __init__(
        self,
        step: nn.Module,
        n_steps: int,
        normalization: str = "field",
        *,
        n_channels: int = 1,
        n_constants: int = 0,
        checkpoint_steps: bool = False,
    ) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}"
            )
        self.step = step
        self.n_steps = n_steps
        self.normalization = normalization
        self.checkpoint_steps = checkpoint_steps
        self.n_channels = n_channels
        self.n_constants = n_constants
        is_scalar = n_channels == 1 and n_constants == 0
        for role, n in (("", n_channels + n_constants), ("output_", n_channels)):
            shape = () if is_scalar else (n,)
            self.register_buffer(f"{role}mean", torch.zeros(shape))
            self.register_buffer(f"{role}std", torch.ones(shape))

    def normalize_to(self, train: Dataset[Sample]) -> None:
        """Take mean and standard deviation of the frames of the training split.

        Raises:
            ValueError: if all frames are one constant.
        """
        if self.normalization == "none":
            return
        moments = moments_of(
            train, self.n_channels, self.n_constants, together=self.normalization == "field"
        )
        for buffer, values in zip(
            (self.mean, self.std, self.output_mean, self.output_std), moments, strict=True
        ):
            buffer.copy_(values.reshape(buffer.shape))

    def as_input(
        self, values: Float[Tensor, "batch values *grid"]
    ) -> Float[Tensor, "batch values *grid"]:
        """Return frames and constants of unit scale in physical units."""
        return self._spread(self.mean, values) + self._spread(self.std, values) * values

    def by_channel(
        self, frames: Float[Tensor, "batch values *grid"]
    ) -> Float[Tensor, "batch time channel *grid"]:
        """Return output frames with the channels on an axis, each in units of its deviation."""
        std = self.output_std.to(frames.device).reshape(-1, *[1] * (frames.ndim - 2))
        return frames.unflatten(1, (-1, self.n_channels)) / std

    def of_channels(self, error: Error) -> Error:
        """Return an error of output frames that counts every channel in units of its deviation.

        Of a single channel it is the error itself.
        """

        @wraps(error)
        def of_all(prediction: Tensor, target: Tensor) -> Tensor:
            return error(self.by_channel(prediction), self.by_channel(target))

        return error if self.n_channels == 1 else of_all

    def _spread(self, moment: Tensor, values: Tensor) -> Tensor:
        """Return the moment of every channel of some frames, and of constants after them."""
        if moment.ndim == 0:
            return moment
        C = self.n_channels
        n_frames = (values.shape[1] - len(moment) + C) // C
        each = torch.cat((moment[:C].repeat(n_frames), moment[C:]))
        return each.reshape(-1, *[1] * (values.ndim - 2))

    def forward(
        self,
        frames: Float[Tensor, "batch given *grid"],
        truth: Float[Tensor, "batch predicted *grid"] | None = None,
        *,
        n_steps: int | None = None,
    ) -> Float[Tensor, "batch predicted *grid"]:
        """Return the next `n_steps` frames, in the unit of the output.

        Args:
            frames: where to start, and the constants.
            truth: the frames to predict, for teacher forcing.
            n_steps: how many to predict; by default those of the data set.

        Raises:
            ValueError: `truth` and `n_steps` are both given.
        """
        if truth is not None:
            if n_steps is not None:
                raise ValueError(
                    "truth has as many steps as it has; give truth or n_steps, not both"
                )
            n_steps = truth.shape[1] // self.n_channels
        n_steps = n_steps or self.n_steps
        checkpointed = self.checkpoint_steps and torch.is_grad_enabled()
        step: Step = prepared(self.step)
        if checkpointed:
            step = partial(checkpoint, step, use_reentrant=False)
        scaled = (frames - self._spread(self.mean, frames)) / self._spread(self.std, frames)
        start, constants = self._parted(scaled)
        n_values = n_steps * self.n_channels
        if truth is None:
            predictions = _roll_out(_given(step, constants), start, n_values)
        else:
            before = truth[:, : -self.n_channels]
            mean, std = (self._spread(m, before) for m in (self.output_mean, self.output_std))
            known = torch.cat((start, (before - mean) / std), dim=1)
            predictions = _forced(
                step, known, constants, start.shape[1], n_values, side_by_side=not checkpointed
            )
        predicted = torch.cat(predictions, dim=1)[:, :n_values]
        mean, std = (self._spread(m, predicted) for m in (self.output_mean, self.output_std))
        return predicted * std + mean

    def _parted(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the frames and the constants of an input."""
        if self.n_constants == 0:
            return values, None
        return values[:, : -self.n_constants], values[:, -self.n_constants :]


def _given(step: Step, constants: Tensor | None) -> Step:
    """Return a step from frames alone."""
    return step if constants is None else lambda window: step(torch.cat((window, constants), dim=1))


def _roll_out(step: Step, window: Tensor, n_values: int) -> list[Tensor]:
    """Return what is predicted where every application starts from the one before."""
    n = window.shape[1]
    predictions = [step(window)]
    while sum(part.shape[1] for part in predictions) < n_values:
        window = torch.cat((window, predictions[-1]), dim=1)[:, -n:]
        predictions.append(step(window))
    return predictions


def _forced(
    step: Step,
    known: Tensor,
    constants: Tensor | None,
    n: int,
    n_values: int,
    *,
    side_by_side: bool,
) -> list[Tensor]:
    """Return what is predicted where every application starts from n known values."""
    first = _given(step, constants)(known[:, :n])
    n_each = first.shape[1]
    windows = [known[:, i : i + n] for i in range(n_each, n_values, n_each)]
    if side_by_side and windows:
        repeated = None if constants is None else torch.cat([constants] * len(windows))
        return [first, *_given(step, repeated)(torch.cat(windows)).chunk(len(windows))]
    return [first, *map(_given(step, constants), windows)]
