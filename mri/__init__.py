"""Accelerated multi-coil MRI: data, physics, models, metrics."""
