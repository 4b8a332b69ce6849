"""Linear layers of networks for text and images as structured matrices."""
