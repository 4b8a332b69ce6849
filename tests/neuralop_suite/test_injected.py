"""neuralop's own tests, as its wheel ships them, with `MonarchSpectralConv` in place of its layer.

A case that the layer refuses by design must raise its ValueError: `conftest.py` lists the reasons.
"""

from functools import partial

import pytest
from neuralop.layers.fno_block import FNOBlocks
from neuralop.layers.tests import test_fno_block, test_spectral_convolution
from neuralop.models import FNO
from neuralop.models.tests import test_fno
from tltorch import FactorizedTensor

from monarch_core import MonarchSpectralConv

pytestmark = pytest.mark.filterwarnings("default")  # neuralop's own warnings are not ours


class WithFactorizedWeight(MonarchSpectralConv):
    """The layer with its weight as a tltorch tensor, the type that neuralop's tests handle."""

    @property
    def weight(self):
        return FactorizedTensor.from_tensor(
            MonarchSpectralConv.weight.fget(self), rank=None, factorization="ComplexDense"
        )

    def __setattr__(self, name, value):
        if name == "weight":
            self.copy_weight(value.to_tensor())
        else:
            super().__setattr__(name, value)


INJECTED = [
    (test_spectral_convolution, "SpectralConv", WithFactorizedWeight),
    (test_fno_block, "FNOBlocks", partial(FNOBlocks, conv_module=MonarchSpectralConv)),
    (test_fno, "FNO", partial(FNO, conv_module=MonarchSpectralConv)),
]
for module, name, replacement in INJECTED:
    assert hasattr(module, name), f"{module.__name__} no longer uses {name}"
    setattr(module, name, replacement)
    globals().update({key: value for key, value in vars(module).items() if key.startswith("test_")})
del module, test_fno, test_fno_block, test_spectral_convolution
