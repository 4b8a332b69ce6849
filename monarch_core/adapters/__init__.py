"""Drop-ins for the layers of other libraries, one module per library."""
