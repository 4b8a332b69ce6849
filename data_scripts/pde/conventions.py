"""What files say of their fields in words of ours, and what their users can say of them."""

# Values of `dataset.convention`: the data set's own equation and units, or those of PDEBench.
OWN, PDEBENCH = "own", "pdebench"
# Attributes of the Burgers files written here, which PDEBench's do not have.
BURGERS = {"equation": "u_t + u u_x = viscosity u_xx", "domain": "(0, 1)"}
# Name of the Navier-Stokes field, and amplitude of the forcing of Li et al. 2021
# (arXiv:2010.08895), which is part of the equation.
VORTICITY = "vorticity"
FORCING_AMPLITUDE = 0.1
