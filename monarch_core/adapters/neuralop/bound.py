"""Classes with some of their options bound, which can be pickled as `functools.partial` can."""

import copyreg
import inspect
from abc import ABCMeta
from typing import Any


class BindableType(ABCMeta):
    """The type of classes that `bound` binds options of.

    Attributes:
        bound_options: those that a bound class makes its instances with; empty otherwise.
    """

    bound_options: dict[str, Any]

    def __call__(cls, *args: Any, **options: Any) -> Any:
        """Return an instance, of a bound class one of the class itself."""
        if not cls.bound_options:
            return super().__call__(*args, **options)
        assert cls.__base__ is not None
        return cls.__base__(*args, **{**cls.bound_options, **options})

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of `__init__`, which editors and `inspect` show."""
        init: Any = cls.__init__  # type: ignore[misc]  # of a class, as it is
        _, *others = inspect.signature(init).parameters.values()
        return inspect.Signature(others)


def bound(cls: BindableType, options: dict[str, Any]) -> Any:
    """Return a class that makes instances of `cls` with these options, unless it is given others.

    It is a subclass, for hosts that ask for one, has the name of `cls`, and is pickled as `cls` and
    the options. Of a class with bound options the others stay bound.
    """
    if cls.bound_options:
        base: Any = cls.__base__
        return bound(base, {**cls.bound_options, **options})
    named = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    return BindableType(cls.__name__, (cls,), {**named, "bound_options": options})


def _reduced(cls: BindableType) -> str | tuple[Any, ...]:
    return (bound, (cls.__base__, cls.bound_options)) if cls.bound_options else cls.__qualname__


copyreg.pickle(BindableType, _reduced)
