"""One script per dataset: make or convert it and write its metadata."""
