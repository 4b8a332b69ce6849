"""What determines a run."""
