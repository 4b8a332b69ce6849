"""Views of models in which everything that is made of parameters is made once."""

from abc import ABC, abstractmethod
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class Preparable(nn.Module, ABC):
    """A module that makes tensors of its parameters, such as a matrix of its factors, to use them.

    In a prepared one they are buffers, made beforehand, in no state dict.
    """

    @abstractmethod
    def make(self) -> dict[str, Tensor]:
        """Return what is made of the parameters, by name."""

    def made(self, name: str) -> Tensor | None:
        """Return what was made beforehand under this name, None where nothing was."""
        return self._buffers.get(f"made_{name}")

    def prepared(self) -> "Preparable":
        """Return a view of this module with what `make` returns, itself if it is such a view."""
        if any(name.startswith("made_") for name in self._buffers):
            return self
        made = {f"made_{name}": value for name, value in self.make().items()}
        return _view(
            self,
            _buffers={**self._buffers, **made},
            _non_persistent_buffers_set={*self._non_persistent_buffers_set, *made},
        )


def prepared(module: Module) -> Module:
    """Return a view of a module in which the matrices of its transforms are multiplied out once.

    For everything that is called more than once between two changes of the parameters: the steps of
    a roll-out, in training, where the matrices are then differentiated once; a model that is done
    learning, whose matrices are made once for good under `torch.no_grad()`.

    The view has the parameters, buffers and hooks of the module itself, and copies of the modules
    that lead to a transform. What holds no transform is the very same, as is what has been compiled
    by itself. A module in several places stays one. A view sees no later change of a parameter, and
    is not to be moved: make another. Activation checkpointing goes through a view in its kind that
    is not reentrant; a region of the other kind differentiates on its own, and makes its own view.
    Where a compiler traces the call the module itself is returned, since a compiler computes what
    is the same once.

    Args:
        module: anything; a view is returned as it is.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from monarch_core import Monarch, prepared
        >>> model = nn.Sequential(Monarch.fourier(16), Monarch.fourier(16, inverse=True))
        >>> x = torch.randn(4, 16, dtype=torch.complex64)
        >>> with torch.no_grad():
        ...     view = prepared(model)  # the matrices are made here, once
        ...     steps = [view(x) for _ in range(3)]
        >>> torch.allclose(steps[-1], x, atol=1e-5)
        True
    """
    if torch.compiler.is_compiling():
        return module
    views: dict[nn.Module, nn.Module] = {}

    def view(part: nn.Module) -> nn.Module:
        if part not in views:
            views[part] = part.prepared() if isinstance(part, Preparable) else through(part)
        return views[part]

    def through(part: nn.Module) -> nn.Module:
        if "_orig_mod" in part._modules:  # what torch.compile has compiled calls the original
            return part
        children = {
            name: None if child is None else view(child) for name, child in part._modules.items()
        }
        same = all(part._modules[name] is child for name, child in children.items())
        return part if same else _view(part, _modules=children)

    return view(module)  # type: ignore[return-value]


def _view(module: Module, **members: object) -> Module:
    """Return a module that shares all but these members with another."""
    view = object.__new__(type(module))
    view.__dict__ = {**module.__dict__, **members}
    return view
