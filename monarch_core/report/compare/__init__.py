"""Groups of runs, what each is compared with, and what comes of it in sentences."""
