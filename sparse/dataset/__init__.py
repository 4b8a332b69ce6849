"""From text and images to training, validation and test splits."""
