"""Data of partial differential equations: recipes, solvers, formats, readers."""
