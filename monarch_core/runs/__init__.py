"""Run folders: every name, every read and every write in them."""
