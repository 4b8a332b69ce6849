"""Phantoms and simulations of MRI scans that cannot be what was meant."""

import math

from bad_inputs import BadInput, assert_refused, table

from data_scripts.mri.phantom import PhantomRecipe
from data_scripts.mri.simulate import SimulateRecipe

NAN, INF = math.nan, math.inf


def phantom(**options):
    return lambda: PhantomRecipe(**options)


def simulate(**options):
    return lambda: SimulateRecipe(**options)


@table(
    BadInput("noise of NaN", phantom(noise=NAN), ("noise", "nan", "0 to 10")),
    BadInput("negative noise", simulate(noise=-0.1), ("noise", "-0.1", "0 to 10")),
    BadInput("noise of infinity", simulate(noise=INF), ("noise", "inf", "0 to 10")),
    BadInput("no coil", simulate(n_coils=0), ("n_coils", "got 0", "1 to 1024")),
    BadInput("no pixel", simulate(height=0), ("height", "got 0", "8 to 8192")),
    BadInput("negative size", phantom(width=-8), ("width", "-8", "8 to 8192")),
    BadInput("a grid beyond memory", phantom(height=10**7), ("height", "10000000", "8192")),
    BadInput("no scan", phantom(n_test=0), ("n_test", "got 0", "from 1")),
    BadInput("no slice", phantom(n_slices=0), ("n_slices", "got 0", "from 1")),
    BadInput("no echo", phantom(echo_times_ms=[]), ("echo_times_ms", "one time in ms")),
    BadInput("an echo time of NaN", phantom(echo_times_ms=[12.0, NAN]), ("echo_times_ms", "nan")),
    BadInput("an echo time in the past", phantom(echo_times_ms=[-1.0]), ("echo_times_ms", "-1.0")),
    BadInput("an echo after the signal", phantom(echo_times_ms=[1e5]), ("echo_times_ms", "10000")),
    BadInput("an anatomy that is none", phantom(anatomy="hand"), ("'hand'", "knee")),
    BadInput("lines displaced by NaN", phantom(trajectory=NAN), ("trajectory", "nan", "samples")),
    BadInput("a ghost in degrees", phantom(epi_ghost=45.0), ("epi_ghost", "45", "radians")),
    BadInput("a readout of NaN", phantom(gradient_delay=NAN), ("gradient_delay", "nan", "samples")),
    BadInput(
        "half a readout", simulate(epi_delay=65.0), ("epi_delay", "65.0", "-64 to 64 samples")
    ),
    BadInput("a phase of many turns", phantom(eddy_phase=40.0), ("eddy_phase", "40.0", "radians")),
    BadInput(
        "pixels that change places",
        phantom(gradient_nonlinearity=20.0),
        ("gradient_nonlinearity", "20.0", "-16 to 16 pixels"),
    ),
    BadInput("lines at one time", simulate(line_ms=0.0), ("line_ms", "0.0", "0.001 to 1000 ms")),
    BadInput("a scanner that is none", phantom(scanner="mine"), ("scanner", "'mine'", "per_scan")),
    BadInput("a negative scanner", phantom(scanner_seed=-1), ("scanner_seed", "-1", "from 0")),
    BadInput(
        "errors of nothing for each scan",
        simulate(scanner="per_scan"),
        ("scanner=per_scan", "all are 0", "trajectory=0.5", "scanner=fixed"),
    ),
    BadInput("a field of infinity", simulate(b0_hz=INF), ("b0_hz", "inf", "Hz")),
    BadInput("coils moved away", simulate(move_coils=3.0), ("move_coils", "3.0", "0 to 0.5")),
    BadInput("coils moved by NaN", simulate(move_coils=NAN), ("move_coils", "nan", "0 to 0.5")),
    BadInput("a negative seed", simulate(seed=-1), ("seed", "-1", "from 0")),
    BadInput("a prefix of everything", simulate(test=[""]), ("test", "empty name", "leave it out")),
)
def test_simulations(case):
    assert_refused(case)
