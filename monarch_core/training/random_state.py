"""The states of all global random generators, as plain values that a checkpoint can hold."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MERSENNE_WORDS = 624


def random_state() -> dict[str, Any]:
    """Return the states of all global random generators as tensors, numbers and tuples."""
    state: Any = np.random.get_state()
    algorithm, keys, position, has_gauss, cached = state
    keys = torch.from_numpy(keys.astype(np.int64))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": (algorithm, keys, position, has_gauss, cached),
        "python": random.getstate(),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set the global random generators to what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    np.random.set_state(_numpy_state(state["numpy"]))
    random.setstate(state["python"])


def check_random_state(state: Any) -> str | None:
    """Return why this cannot be what `random_state` returned, in a few words; None if it can.

    The states are tried on generators of their own.
    """
    if not isinstance(state, dict) or state.keys() != {"torch", "cuda", "numpy", "python"}:
        return "random does not hold the states of torch, cuda, numpy and python"
    for name, attempt in [
        ("torch", _try_torch),
        ("cuda", _try_cuda),
        ("numpy", _try_numpy),
        ("python", _try_python),
    ]:
        try:
            attempt(state[name])
        except (RuntimeError, TypeError, ValueError, IndexError, OverflowError) as error:
            reason = " ".join(str(error).split())[:80]
            return f"random[{name!r}] is no state of a generator ({reason})"
    return None


def _try_torch(state: Any) -> None:
    if not isinstance(state, Tensor) or state.shape != torch.get_rng_state().shape:
        raise ValueError("another size")
    torch.Generator().set_state(state)


def _try_cuda(state: Any) -> None:
    if state is None or not torch.cuda.is_available():
        return
    if not isinstance(state, Tensor) or state.shape != torch.cuda.get_rng_state().shape:
        raise ValueError("another size")
    torch.Generator("cuda").set_state(state)


def _try_numpy(state: Any) -> None:
    algorithm, keys, position, _, _ = state
    if type(algorithm) is not str or type(position) is not int:
        raise TypeError("another kind")
    if not isinstance(keys, Tensor) or keys.shape != (_MERSENNE_WORDS,):
        raise ValueError("another size")
    if not 0 <= position <= _MERSENNE_WORDS or not 0 <= int(keys.min()) <= int(keys.max()) < 2**32:
        raise ValueError("numbers out of range")
    np.random.RandomState().set_state(_numpy_state(state))


def _try_python(state: Any) -> None:
    version, words, _ = state
    if type(version) is not int or len(words) != _MERSENNE_WORDS + 1:
        raise ValueError("another size")
    random.Random().setstate(state)


def _numpy_state(state: Any) -> Any:
    algorithm, keys, position, has_gauss, cached = state
    return algorithm, keys.numpy().astype(np.uint32), position, has_gauss, cached
