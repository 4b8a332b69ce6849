"""From a scan as it was measured to an image, without a truth to compare with."""
