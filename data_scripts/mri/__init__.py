"""MRI scans: recipes, simulation, converters, the schema of prepared scans."""
