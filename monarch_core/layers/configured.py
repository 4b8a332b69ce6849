"""Classes with options bound, for networks that take the class of a layer and none of its options.

A bound class has no name by which another process could find it. It pickles as what it was made of,
its class and the options, so that whatever holds it can be saved, copied and sent: a model, or the
state dict of neuralop's models, which holds the arguments they were made with.
"""

import copyreg
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Layer = TypeVar("Layer")


class Bound(type):
    """The type of classes with options bound."""

    made_of: tuple[type, dict[str, Any]]


def bind_options(cls: type[Layer], options: dict[str, Any]) -> type[Layer]:
    """Return the class with options of its constructor bound, the arguments that have a default.

    Raises:
        ValueError: for what is no option; later, when an instance is made with another value of a
            bound option that is not its default.
    """
    parameters = inspect.signature(cls.__init__).parameters
    offered = [name for name, p in parameters.items() if p.default is not inspect.Parameter.empty]
    for name in options:
        if name not in offered:
            raise ValueError(
                f"{cls.__name__} has no option {name!r} to configure; its options are "
                f"{', '.join(offered)}"
            )

    @functools.wraps(cls.__init__)
    def init(self: Layer, *args: Any, **kwargs: Any) -> None:
        for name in options.keys() & kwargs.keys():
            if kwargs[name] not in (options[name], parameters[name].default):
                raise ValueError(
                    f"{cls.__name__} was configured with {name}={options[name]!r}, and the network "
                    f"gives {name}={kwargs[name]!r}; leave one of them out"
                )
        cls.__init__(self, *args, **{**kwargs, **options})

    members = {"__init__": init, "made_of": (cls, options)}
    members |= {name: getattr(cls, name) for name in ("__doc__", "__module__", "__qualname__")}
    bound: Any = Bound(cls.__name__, (cls,), members)
    return bound


def refuse_replaced(make: Callable[..., Any], given: dict[str, Any]) -> None:
    """Raise ValueError where `functools.partial` binds another value than a call is to give.

    The one of the call would take its place without a word.
    """
    if not isinstance(make, functools.partial):
        return
    bound = make.keywords
    for name in bound.keys() & given.keys():
        if type(bound[name]) is not type(given[name]) or bound[name] != given[name]:
            raise ValueError(
                f"{getattr(make.func, '__name__', make.func)} is bound with {name}="
                f"{bound[name]!r}, and is called with {name}={given[name]!r}; leave {name} out of "
                "functools.partial"
            )


def _reduce(cls: type) -> str | tuple[Callable[..., type], tuple[type, dict[str, Any]]]:
    made_of = vars(cls).get("made_of")
    # A class derived from a bound one by a class statement has a name of its own.
    return cls.__qualname__ if made_of is None else (bind_options, made_of)


copyreg.pickle(Bound, _reduce)  # type: ignore[arg-type]
