"""From prepared scans to training, validation and test splits."""
