"""From files to training, validation and test splits."""
