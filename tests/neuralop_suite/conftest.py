"""Marks the cases of neuralop's own tests that our layer refuses by design, with the reason."""

import pytest

COMPLEX = "real fields only: the half spectrum and the real products rest on it"


def refusal(test: str, parameters: dict) -> str | None:
    """Return why the layer refuses this case, or None if it must pass."""
    refused = parameters.get("complex_data") or test == "test_FNOBlock_complex_data"
    return COMPLEX if refused else None


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name == "test_injected.py":
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            if reason := refusal(item.originalname, parameters):
                item.add_marker(pytest.mark.xfail(raises=ValueError, strict=True, reason=reason))
