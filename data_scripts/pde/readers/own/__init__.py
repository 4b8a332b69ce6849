"""Files of anybody: which array is what, in which order of axes, told or guessed."""
