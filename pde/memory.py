"""What is too large for this machine is refused before work starts."""

import os


def physical_memory() -> int | None:
    """Return the bytes of memory this machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(
    n_bytes: int,
    what: str,
    remedy: str = "lower n_train, n_valid, n_test, the grid or the number of frames",
) -> None:
    """Raise ValueError if something takes more bytes than this machine has."""
    available = physical_memory()
    if available is not None and n_bytes > available:
        raise ValueError(
            f"{what} need {n_bytes / 1e9:.3g} GB of memory, but this machine has "
            f"{available / 1e9:.3g} GB; {remedy}"
        )
