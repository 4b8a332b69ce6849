"""Options of the Navier-Stokes data set."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.navier_stokes import NavierStokesRecipe
from data_scripts.recipe import require
from pde.config.base import GeneratedConfig
from pde.dataset.symmetries import random_symmetry


@dataclass
class NavierStokesConfig(NavierStokesRecipe, GeneratedConfig):
    """Forced two-dimensional flow, and the frames to learn from; the defaults are the small preset.

    Attributes:
        grid: points per axis of the stored frames, which are those that the model sees.
        n_input_frames: frames the model sees.
        n_output_frames: frames it predicts; 0 becomes every frame left up to `final_time`.
        first_frame: which stored frame is the first input, counted from 0.
        frame_spacing: stored frames from one used frame to the next.
    """

    n_input_frames: int = 4
    n_output_frames: int = 5
    first_frame: int = 3
    frame_spacing: int = 4

    def __post_init__(self) -> None:
        """Check values against each other; raises ValueError naming value and remedy."""
        super().__post_init__()
        require(self.n_input_frames >= 1, "n_input_frames", self.n_input_frames, "at least 1")
        require(self.n_output_frames >= 0, "n_output_frames", self.n_output_frames, "at least 0")
        require(self.frame_spacing >= 1, "frame_spacing", self.frame_spacing, "at least 1")
        require(self.first_frame >= 0, "first_frame", self.first_frame, "at least 0")
        if self.n_output_frames == 0:
            self.n_output_frames = self._frames_left()

    def check_grids(self) -> None:
        """Raise ValueError unless what is to be generated fits together."""
        if self.path is None:
            super().check_grids()

    def _frames_left(self) -> int:
        n_used = (self.n_records - 1 - self.first_frame) // self.frame_spacing + 1
        if n_used <= self.n_input_frames:
            raise ValueError(
                f"n_output_frames=0 asks for every frame after the {self.n_input_frames} inputs, "
                f"but there is none up to final_time={self.horizon:g}; lower n_input_frames, "
                "frame_spacing or first_frame, or raise final_time"
            )
        return n_used - self.n_input_frames

    def check_frames(self) -> None:
        """Raise ValueError unless the frames to use are among those a generated file holds."""
        if self.frames.stop > self.n_records:
            raise ValueError(
                f"the frames asked for end at stored frame {self.frames.stop}, but final_time="
                f"{self.horizon:g} with record_interval={self.record_interval:g} stores "
                f"{self.n_records}; lower n_output_frames, n_input_frames, frame_spacing or "
                "first_frame, or raise final_time"
            )

    @property
    def frames(self) -> slice:
        """Stored frames that are used: inputs first, then outputs."""
        n_used = self.n_input_frames + self.n_output_frames
        stop = self.first_frame + self.frame_spacing * (n_used - 1) + 1
        return slice(self.first_frame, stop, self.frame_spacing)

    @property
    def periodic(self) -> tuple[bool, bool]:
        """The torus."""
        return True, True

    @property
    def normalization(self) -> str:
        """Inputs and outputs are one field, and predictions are fed back."""
        return "field"

    @property
    def symmetry(self) -> Callable[[Tensor, torch.Generator], Tensor] | None:
        """Those of the forcing of Li et al. 2021."""
        return random_symmetry

    @property
    def quantity(self) -> tuple[str, str]:
        """What is predicted."""
        return "vorticity", "1/time"

    def select_frames(self, times: Float[np.ndarray, " time"], path: Path) -> slice:
        """Return the slice `frames`.

        Raises:
            ValueError: the file is too short.
        """
        if self.frames.stop > len(times):
            raise ValueError(
                f"{path} has {len(times)} frames, but the last one asked for is number "
                f"{self.frames.stop} (first_frame={self.first_frame}, then "
                f"{self.n_input_frames} + {self.n_output_frames} frames with frame_spacing="
                f"{self.frame_spacing}); lower one of these"
            )
        return self.frames

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return how many frames follow from how many."""
        return (
            f"{self.n_input_frames} frames in, {self.n_output_frames} out, times {times[0]:g} to "
            f"{times[-1]:g}"
        )
