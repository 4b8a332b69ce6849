"""What files say of their fields in words of ours, and what their users can say of them."""

# Values of `dataset.convention`: the data set's own equation and units, or those of PDEBench.
OWN, PDEBENCH = "own", "pdebench"
# Attributes of the files of lines written here, by problem; PDEBench's do not have them.
BURGERS = {"equation": "u_t + u u_x = viscosity u_xx", "domain": "(0, 1)"}
# The problem whose points are refined towards the walls, and the attribute that says how much.
STRETCHED, STRETCHING = "burgers_stretched", "stretching"
EQUATIONS = {
    "burgers": BURGERS,
    "burgers_dirichlet": BURGERS,
    STRETCHED: BURGERS,
    "wave_layered": {"equation": "u_tt = (c^2 u_x)_x", "domain": "(0, 1)"},
    "heat_layered": {"equation": "u_t = (c^2 u_x)_x", "domain": "(0, 1)"},
}
# Scalar fields in the layout of The Well, by problem: name, and which axes (x, y) are periodic.
WELL_FIELDS = {
    "navier_stokes": ("vorticity", (True, True)),
    "waveguide": ("displacement", (True, False)),
    "navier_stokes_channel": ("vorticity", (True, False)),
}
# Their axes, by problem, with points at (1 - cos pi s) / 2 for even s; those of others are even.
WALL_REFINED = {"navier_stokes_channel": ("y",)}
# Name of the Navier-Stokes field, and amplitude of the forcing of Li et al. 2021
# (arXiv:2010.08895), which is part of the equation.
VORTICITY = "vorticity"
FORCING_AMPLITUDE = 0.1
