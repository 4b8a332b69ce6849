"""Whether the Triton kernels are to be had: on NVIDIA GPUs with matrix units for TF32 and bfloat16.

Triton comes with a torch for CUDA and compiles the kernels when they are first needed, for each
kind of sizes, which takes a second or two for each; what is compiled is kept in `~/.triton`.
`MONARCH_FUSED=0` switches them off.
"""

import logging
import subprocess
from functools import cache
from types import ModuleType
from typing import Any

import torch

from monarch_core.layers.kernel.build import is_wanted

LEAST_CAPABILITY = (8, 0)  # Ampere
_log = logging.getLogger(__name__)


@cache
def gpu_kernels() -> ModuleType | None:
    """Return `triton_product`, or None where it cannot run, the reason of which is logged once.

    Raises:
        ValueError: as `is_wanted` does.
    """
    if not is_wanted() or torch.version.cuda is None or not torch.cuda.is_available():
        return None
    if torch.cuda.get_device_capability() < LEAST_CAPABILITY:
        _log.info("layers use the products of torch: this GPU has no matrix units for TF32")
        return None
    try:
        from monarch_core.layers.kernel import triton_product
    except ImportError as error:
        _log.warning("layers use the products of torch on the GPU: Triton is missing (%s)", error)
        return None
    if (reason := _failure(triton_product)) is not None:
        _log.warning(
            "Triton cannot compile for this GPU (%s); layers use the products of torch, which "
            "MONARCH_FUSED=0 does without this warning",
            reason,
        )
        return None
    return triton_product


def _failure(module: Any) -> str | None:
    """Return why the smallest of the kernels cannot be compiled, None if it can."""
    import triton

    try:
        module.compile_one()
    except (OSError, RuntimeError, subprocess.SubprocessError, triton.TritonError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None
