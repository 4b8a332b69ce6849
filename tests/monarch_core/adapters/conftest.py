"""The host libraries of these tests."""

import sys

try:
    import torchvision  # noqa: F401  # one built for another torch fails with RuntimeError
except (ImportError, RuntimeError):
    sys.modules["torchvision"] = None  # transformers then goes on without it
