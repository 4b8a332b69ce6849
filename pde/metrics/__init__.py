"""Errors of predicted fields, and what is measured of a model."""
