"""What is measured, in suites of one subject each."""
