"""Plumbing that knows no task: run folders, the fit loop, results and reports."""
