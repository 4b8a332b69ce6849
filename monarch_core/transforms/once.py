"""What is made of parameters, such as the matrix of a transform, computed once in a block."""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from monarch_core.transforms.autocast import autocast_dtype

Computed = TypeVar("Computed")


class _Entry(NamedTuple):
    """What was computed, of which parameters, their memory, and the state in which they were."""

    value: Any
    parameters: list[nn.Parameter]
    memory: list[Tensor]
    state: list[tuple[int, int, bool]]


@dataclass
class _Block:
    """What has been computed in a block, and where autograd stood when it was opened."""

    surroundings: tuple[Any, ...]
    entries: dict[Hashable, _Entry] = field(default_factory=dict)


class _Thread(threading.local):
    block: _Block | None = None


_thread = _Thread()


def computed_once(module: nn.Module, what: Hashable, compute: Callable[[], Computed]) -> Computed:
    """Return `compute()`, within `matrices_computed_once()` that of the first call if it still is.

    It is computed again after a change of a parameter of the module by an operation of torch, for
    other tensors or other memory in the place of the parameters, and in another mode: with and
    without gradients, inference, autocast. Where autograd will repeat a part of the block, in
    activation checkpointing, or sees it through a transform of `torch.func`, nothing is carried in
    or out.

    Args:
        module: whose parameters it is made of.
        what: name of it.
        compute: makes it of the parameters, and of nothing else that changes.
    """
    block = _thread.block
    if block is None or block.surroundings != _surroundings():
        return compute()
    parameters = list(module.parameters())
    state = [_state(parameter) for parameter in parameters]
    key = (module, what, *_mode(parameters))
    entry = block.entries.get(key)
    if entry is None or entry.state != state or _moved(parameters, entry.memory):
        memory = [parameter.detach() for parameter in parameters]
        entry = block.entries[key] = _Entry(compute(), parameters, memory, state)
    return entry.value


@contextmanager
def matrices_computed_once() -> Iterator[None]:
    """Compute what is made of the parameters of transforms, as `matrix()`, once inside the block.

    A roll-out applies the same network many times between two optimiser steps, so its matrices
    need to be multiplied out, and differentiated, once. The block belongs to its thread. Within it,
    one backward pass may go through the matrices, unless its graph is retained.
    """
    outer, surroundings = _thread.block, _surroundings()
    if outer is None or outer.surroundings != surroundings:
        _thread.block = _Block(surroundings)
    try:
        yield
    finally:
        _thread.block = outer


def _surroundings() -> tuple[Any, ...]:
    """Return which backward pass, region of checkpointing and transform of torch.func this is in.

    A region of checkpointing, when it runs and when it is run again, has hooks of its own. A
    compiler, which cannot see them, has one program and differentiates it once.
    """
    if torch.compiler.is_dynamo_compiling():
        return ()
    return (
        torch._C._current_graph_task_id(),
        torch._C._autograd._top_saved_tensors_default_hooks(True),
        torch._C._functorch.maybe_current_level(),
    )


def _state(parameter: Tensor) -> tuple[int, int, bool]:
    """Return which tensor this is, how often it has been changed, and whether it learns."""
    if torch.compiler.is_dynamo_compiling():  # in one program these stay what they are
        return 0, 0, parameter.requires_grad
    version = -1 if parameter.is_inference() else parameter._version
    return id(parameter), version, parameter.requires_grad


def _moved(parameters: Sequence[Tensor], memory: Sequence[Tensor]) -> bool:
    """Return whether a parameter has got other memory: by `.data`, which counts as no change."""
    if torch.compiler.is_dynamo_compiling():
        return False
    same = torch._C._is_alias_of  # type: ignore[attr-defined]
    return not all(map(same, parameters, memory))


def _mode(parameters: Sequence[Tensor]) -> tuple[Any, ...]:
    device = parameters[0].device.type if parameters else "cpu"
    # What is made in inference mode is itself marked, so that no other mode may take it.
    inference = not torch.compiler.is_dynamo_compiling() and torch.is_inference_mode_enabled()
    return torch.is_grad_enabled(), inference, autocast_dtype(device)
