"""Arrays in files of every format, read in parts."""
