"""Files of the data sets that have a name: their layouts, and what they say of their equation."""
