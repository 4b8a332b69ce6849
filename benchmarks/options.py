"""What can be measured, and how."""

from dataclasses import dataclass

# Suites by name, with the heading of their table.
TITLES = {
    "layer": "Spectral layers alone",
    "fixed": "A layer on one axis that stays the DFT: products or FFT",
    "single": "One sample through a layer whose matrices are made once",
    "kept": "Training step of the layer where freed memory is kept",
    "avx2": "Training step of the layer without AVX-512",
    "ceilings": "Ceilings of the machine",
    "roofline": "Training step of the layer against those ceilings",
    "factors": "Factored or multiplied out",
    "network": "Whole networks",
    "network_avx2": "Training step of whole networks without AVX-512",
    "threads": "Training step of whole networks on one core and on two",
    "memory": "Peak memory of a training step, beyond the weights",
    "bfloat16": "Autocast to bfloat16",
    "sweep": "Training step of the layer against kept modes and grid",
    "linear": "Dense layers: one layer",
    "block": "Dense layers: one block of GPT-2-S",
    "step": "Dense layers: a step of the small GPT-2 on text",
    "sense": "SENSE of one slice",
    "data": "Navier-Stokes data, one trajectory of 50 time units",
}
# Pieces of `benchmarks.gpu` by name, with the heading of their table.
GPU_TITLES = {
    "gpu_check": "Errors on a GPU, relative to double precision",
    "gpu_layer": "Spectral layers alone, on a GPU",
    "gpu_network": "Whole networks on a GPU",
    "gpu_memory": "Peak memory of a training step on a GPU, beyond the weights",
    "gpu_bfloat16": "Autocast to bfloat16 on a GPU",
    "gpu_compiled": "Training step of whole networks on a GPU, compiled",
    "gpu_paper_1e-3": "Navier-Stokes at the published size, viscosity 1e-3, on a GPU",
    "gpu_paper_1e-4": "Navier-Stokes at the published size, viscosity 1e-4, on a GPU",
    "gpu_paper_1e-5": "Navier-Stokes at the published size, viscosity 1e-5, on a GPU",
}
CPU_SUITES = ("kept", "avx2", "network_avx2", "ceilings", "roofline", "threads")


@dataclass
class Options:
    """What to measure.

    Attributes:
        out: folder of the results.
        suites: which to run, separated by commas.
        threads: CPU threads.
        rounds: repetitions of each contender.
        calls: in each repetition.
        device: cpu or cuda.
    """

    out: str = "runs/speed"
    suites: str = ",".join(TITLES)
    threads: int = 1
    rounds: int = 15
    calls: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown suite or too few rounds for quartiles."""
        for suite in self.names:
            if suite not in TITLES:
                raise ValueError(f"suites must be among {', '.join(TITLES)}, got {suite!r}")
        refused = [suite for suite in CPU_SUITES if suite in self.names]
        if self.device != "cpu" and refused:
            raise ValueError(
                f"{', '.join(refused)} measure the CPU, got device={self.device}; use "
                "device=cpu, or leave them out of suites"
            )
        for name, least in (("rounds", 2), ("calls", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")

    @property
    def names(self) -> list[str]:
        """The suites, one by one."""
        return self.suites.split(",")
