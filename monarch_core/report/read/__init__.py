"""What run folders hold, read without trusting it, and what makes two of them the same."""
