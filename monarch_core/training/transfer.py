"""The weights of one model for another of the same network, layer by layer, all or nothing."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from monarch_core.training.checkpoint import kind

log = logging.getLogger(__name__)

_N_SHOWN = 5


@dataclass
class Transfer:
    """What one model takes from another.

    Attributes:
        tensors: (name, the tensor that takes, the one that gives).
        actions: what a layer does by itself once all has been checked.
        left: names of what stays at its start, with the reason.
        problems: why it cannot be done, in words.
    """

    tensors: list[tuple[str, Tensor, Tensor]] = field(default_factory=list)
    actions: list[Callable[[], object]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


# Of a layer and its counterpart: returns whether it has said all about them.
LayerRule = Callable[[str, nn.Module, nn.Module, Transfer], bool]


def take_over(new: nn.Module, old: nn.Module, rule: LayerRule, source: str) -> Transfer:
    """Give a model all parameters and persistent buffers of another, as `plan_transfer` says.

    Nothing is changed unless everything fits.

    Raises:
        ValueError: as `plan_transfer`.
    """
    transfer = plan_transfer(new, old, rule, source)
    with torch.no_grad():
        for _, mine, other in transfer.tensors:
            mine.copy_(other)
        for act in transfer.actions:
            act()
    log.info("took %d tensors from %s", len(transfer.tensors), source)
    for words in transfer.left:
        log.info("not taken: %s", words)
    return transfer


def plan_transfer(new: nn.Module, old: nn.Module, rule: LayerRule, source: str) -> Transfer:
    """Return what a model would take of another one; both are left as they are.

    Both are walked side by side; modules, names and shapes must be the same, except where `rule`
    knows what one layer takes from another.

    Args:
        new: takes.
        old: gives; it is left as it is.
        rule: called with the name, the new layer, the old one and the transfer, of every pair.
        source: where `old` is from, for messages.

    Raises:
        ValueError: the two are not the same network; the first differences are named.
    """
    transfer = Transfer()
    _walk("", new, old, rule, transfer)
    if transfer.problems:
        shown = "; ".join(transfer.problems[:_N_SHOWN])
        rest = len(transfer.problems) - _N_SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise ValueError(
            f"{source} holds weights of another network: {shown}{more}; give the options of the "
            "model and the transform that it was trained with"
        )
    return transfer


def pair_tensors(name: str, new: nn.Module, old: nn.Module, transfer: Transfer) -> None:
    """Add all tensors of a module, those of its children too, where names and shapes are equal.

    What is not saved with them, such as the order in which a transform takes its samples, must be
    the same.
    """
    mine, others = (dict(_tensors(module, recurse=True)) for module in (new, old))
    _pair(name, mine, others, transfer)
    orders = [{k: v for k, v in m.named_buffers() if not v.is_floating_point()} for m in (new, old)]
    for key in orders[0].keys() & orders[1].keys():
        if not torch.equal(orders[0][key], orders[1][key]):
            transfer.problems.append(f"{name}.{key} is another order there")


def _walk(name: str, new: nn.Module, old: nn.Module, rule: LayerRule, transfer: Transfer) -> None:
    if rule(name, new, old, transfer):
        return
    if type(new) is not type(old):
        transfer.problems.append(
            f"{name or 'the model'} is a {type(new).__name__} here and a {type(old).__name__} there"
        )
        return
    _pair(name, dict(_tensors(new)), dict(_tensors(old)), transfer)
    children, others = dict(new.named_children()), dict(old.named_children())
    for child in [*children, *(key for key in others if key not in children)]:
        path = f"{name}.{child}".lstrip(".")
        if child not in children or child not in others:
            where = "there" if child in children else "here"
            transfer.problems.append(f"{path} is not {where}")
        else:
            _walk(path, children[child], others[child], rule, transfer)


def _pair(
    name: str, mine: dict[str, Tensor], others: dict[str, Tensor], transfer: Transfer
) -> None:
    for key in [*mine, *(key for key in others if key not in mine)]:
        path = f"{name}.{key}".lstrip(".")
        if key not in mine or key not in others:
            transfer.problems.append(f"{path} is not {'there' if key in mine else 'here'}")
        elif kind(mine[key]) != kind(others[key]):
            transfer.problems.append(
                f"{path} is {kind(mine[key])} here and {kind(others[key])} there"
            )
        else:
            transfer.tensors.append((path, mine[key], others[key]))


def _tensors(module: nn.Module, *, recurse: bool = False) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=recurse)
    parts = module.named_modules() if recurse else [("", module)]
    for prefix, part in parts:
        for name, buffer in part.named_buffers(recurse=False):
            if name not in part._non_persistent_buffers_set:
                yield f"{prefix}.{name}".lstrip("."), buffer
