"""Neural operators for partial differential equations, with the Fourier transform or Monarch."""
