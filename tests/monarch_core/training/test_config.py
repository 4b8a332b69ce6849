"""A FitConfig that exists is valid."""

import pytest

from monarch_core.training.config import FitConfig


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("epochs", 0, "from 1 to 1000000"),
        ("batch_size", -3, "from 1 to 1000000"),
        ("learning_rate", 0.0, "a positive number"),
        ("learning_rate", float("nan"), "a positive number"),
        ("transform_learning_rate", float("inf"), "null or a positive number"),
        ("weight_decay", -1e-4, "0 or a positive number"),
        ("gradient_clip", 0.0, "null or a positive number"),
        ("decay", 0.0, "above 0 and at most 1"),
        ("schedule", "onecycle", "one of one_cycle, cosine, trapezoid, step, constant"),
        ("precision", "16-mixed", "one of 32-true, tf32, bf16-mixed"),
        ("optimizer", "sgd", "one of adam, adamw, soap"),
        ("accelerator", "gpu", "one of auto, cpu, cuda, mps"),
        ("num_workers", -1, "from 0 to 1024"),
        ("n_threads", 0, "from 1 to 1024"),
        ("checkpoint_every", 0, "from 1 to 1000000"),
    ],
)
def test_bad_values_are_refused_with_a_remedy(key, value, remedy):
    with pytest.raises(ValueError, match=f"fit.{key} must be {remedy}, got {value!r}"):
        FitConfig(**{key: value})


def test_defaults_are_valid():
    assert FitConfig().schedule == "step"
