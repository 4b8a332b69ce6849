"""The host libraries of these tests."""

import re
import sys
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[3] / "docs/mri.md"

OPERATORS = []  # declared as long as this lives


def load_torchvision():
    """Import it, where it was built for another torch without the operators: no test calls them."""
    try:
        import torchvision
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        OPERATORS.append(library)
        import torchvision  # noqa: F401


try:
    load_torchvision()
except (ImportError, RuntimeError):
    sys.modules["torchvision"] = None  # transformers then goes on without it


@pytest.fixture
def run_snippet():
    """Run what docs/mri.md shows for an adapter, and return its names."""

    def run(adapter):
        blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        (code,) = (block for block in blocks if f"adapters.{adapter}" in block)
        names = {}
        exec(code, names)
        return names

    return run
