"""The precision that autocast asks for, on a device of any kind."""

import torch


def autocast_dtype(device: str) -> torch.dtype | None:
    """Return the dtype of autocast on a type of device, None where it is off or not offered."""
    # The meta device has none, and to ask whether it is on is an error there. The compiler of torch
    # 2.11 cannot follow torch.amp.is_autocast_available.
    if device != "meta" and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return None
