"""The fit loop, optimisers, checkpoints and devices; knows no task."""
