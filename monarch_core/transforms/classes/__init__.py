"""The classes of Monarch products, the nearest member to a matrix, and exact members.

`project_to_monarch` finds the nearest matrix of class M, which `Monarch.from_matrix` then learns;
`factorize_mm_star` the factors of one of class MM*. Known matrices lie in these classes:

| class | builder | matrix |
| --- | --- | --- |
| M | `hadamard_monarch`, `fourier_monarch` | Hadamard up to one output order; DFT as it stands |
| MM* | `circulant_mm_star`, `permutation_mm_star` | circular convolution; every permutation |
| MM*, expansion 2 | `toeplitz_mm_star` | every Toeplitz matrix |
| (MM*)^2 | `fourier_mm_star_squared` | DFT |
| (MM*)^2, expansion 2 | `cosine_mm_star_squared`, `sine_mm_star_squared` | DCT-II, DST-II |

M is the class of `monarch_multiply` with rank 1: L (p, q, q) and R (q, p, p) on n = p q points. It
contracts the strided index first. Dao et al. 2022 (arXiv:2204.00595) contract the contiguous one,
so their M is this one with its input reordered by the fixed transposition T of the p x q grid,
(T x)[b p + a] = x[a q + b]: this one holds the DFT F and T H for Hadamard H, theirs F T^-1 and H.
The class MM* of products M1 M2^H is the same in both orders, and so are its powers.

Expansion e means, as in that paper, the n x n corner of a product of matrices of e n points:
factors of e n points of which only n rows exist. Dao et al. place the DCT and the DST in (MM*)^2
by their butterfly algorithms (Dao et al. 2020, arXiv:2012.14966). The algorithm used here is exact
with expansion 2; without expansion it gives a complex matrix whose real part is the transform.

All exact factors are in double precision and dimensionless. Those of n prime are dense.
"""

from monarch_core.transforms.classes.mm_star import MMStar, factorize_mm_star
from monarch_core.transforms.classes.product import fourier_monarch, hadamard_monarch
from monarch_core.transforms.classes.projection import project_to_monarch
from monarch_core.transforms.classes.squared import (
    cosine_mm_star_squared,
    fourier_mm_star_squared,
    sine_mm_star_squared,
)
from monarch_core.transforms.classes.star import (
    circulant_mm_star,
    permutation_mm_star,
    toeplitz_mm_star,
)

__all__ = [
    "MMStar",
    "circulant_mm_star",
    "cosine_mm_star_squared",
    "factorize_mm_star",
    "fourier_mm_star_squared",
    "fourier_monarch",
    "hadamard_monarch",
    "permutation_mm_star",
    "project_to_monarch",
    "sine_mm_star_squared",
    "toeplitz_mm_star",
]
