"""The encoding operator, sampling masks and conjugate gradients."""
