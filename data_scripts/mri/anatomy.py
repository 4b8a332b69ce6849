"""Random smooth anatomies: heads and knees of several tissues with lesions, as tissue parameters.

Also an object to calibrate a scanner with: beads in water that fill the field of view.

Each scan is a new shape: outline, tissue borders, folds, ventricles or bones, lesions, rotation and
tissue parameters are all drawn. Every border is a level set of a smooth random function of the
three coordinates, so neighbouring slices belong together. Coordinates (y, z) cover [-1, 1] along
the longer side of the field of view, x is the position of the slice, lengths are in that unit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Field = Float[np.ndarray, "y z"]

# proton density (dimensionless), T2 in ms; rounded textbook values at 1.5 T to 3 T
TISSUES = {
    "air": (0.0, 100.0),
    "skin": (0.65, 40.0),
    "fat": (0.90, 68.0),
    "cortical_bone": (0.06, 5.0),
    "marrow": (0.80, 55.0),
    "muscle": (0.75, 36.0),
    "ligament": (0.35, 12.0),
    "cartilage": (0.80, 45.0),
    "fluid": (1.00, 700.0),
    "csf": (1.00, 1200.0),
    "grey_matter": (0.82, 92.0),
    "deep_grey": (0.78, 80.0),
    "white_matter": (0.70, 72.0),
    "vessel": (0.10, 20.0),
    "lesion": (0.90, 160.0),
}
ANATOMIES = ("head", "knee")
BEADS = "beads"


@dataclass(frozen=True)
class Waves:
    """A smooth random function: a sum of cosines with random directions and starts."""

    directions: Float[np.ndarray, "waves 3"]
    starts: Float[np.ndarray, " waves"]
    weights: Float[np.ndarray, " waves"]

    def __call__(self, x: float, y: Field, z: Field) -> Field:
        """Return the values on a slice at position `x`."""
        total = np.zeros(np.broadcast_shapes(y.shape, z.shape), np.float32)
        for (u, v, w), start, weight in zip(
            self.directions, self.starts, self.weights, strict=True
        ):
            total += weight * np.cos(v * y + w * z + (u * x + start))
        return total


def waves(rng: np.random.Generator, low: float, high: float, n_waves: int) -> Waves:
    """Draw a function of unit variance with wavelengths from 2/high to 2/low.

    Args:
        rng: source of everything random.
        low: lowest frequency, in cycles per two units of length.
        high: highest frequency.
        n_waves: number of terms.
    """
    directions = rng.normal(size=(n_waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions *= np.pi * rng.uniform(low, high, (n_waves, 1))
    weights = np.full(n_waves, np.sqrt(2 / n_waves))
    starts = rng.uniform(0, 2 * np.pi, n_waves)
    return Waves(*(values.astype(np.float32) for values in (directions, starts, weights)))


@dataclass(frozen=True)
class Anatomy:
    """One random body part; `labels` paints a slice, `parameters` turns it into PD and T2."""

    kind: str
    paint: Callable[[float, Field, Field], dict[str, np.ndarray]]
    to_body: Callable[[float, Field, Field], tuple[Field, Field]]
    values: dict[str, tuple[float, float]]
    texture: Waves

    def parameters(
        self, x: float, shape: tuple[int, int]
    ) -> tuple[Float[np.ndarray, "y z"], Float[np.ndarray, "y z"]]:
        """Return proton density (dimensionless) and T2 (ms) of the slice at position `x`."""
        y, z = (
            (np.arange(n, dtype=np.float32) - n // 2) * np.float32(2 / max(shape)) for n in shape
        )
        y, z = y[:, None], z[None, :]
        body_y, body_z = self.to_body(x, y, z)
        density, t2 = np.zeros(shape, np.float32), np.full(shape, 100.0, np.float32)
        for tissue, where in self.paint(x, body_y, body_z).items():
            density[where], t2[where] = self.values[tissue]
        grain = 1 + 0.04 * self.texture(x, y, z)
        return density * grain, t2 * (2 - grain)


def random_anatomy(kind: str, rng: np.random.Generator) -> Anatomy:
    """Draw an anatomy.

    Args:
        kind: `head`, `knee` or `beads`.
        rng: source of everything random.

    Raises:
        ValueError: for another kind.
    """
    if kind not in (*ANATOMIES, BEADS):
        raise ValueError(f"anatomy must be one of {ANATOMIES}, {BEADS} or mixed, got {kind!r}")
    turn = rng.uniform(-0.35, 0.35) if kind == "head" else rng.uniform(0, 2 * np.pi)
    shift = rng.uniform(-0.06, 0.06, 2)
    warps = [waves(rng, 0.4, 1.4, 8) for _ in range(2)]
    strength = rng.uniform(0.02, 0.045)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))

    def to_body(x: float, y: Field, z: Field) -> tuple[Field, Field]:
        y, z = y - np.float32(shift[0]), z - np.float32(shift[1])
        turned_y, turned_z = cos * y + sin * z, cos * z - sin * y
        return (
            turned_y + np.float32(strength) * warps[0](x, turned_y, turned_z),
            turned_z + np.float32(strength) * warps[1](x, turned_y, turned_z),
        )

    values = {
        tissue: (density * rng.uniform(0.92, 1.08), t2 * rng.uniform(0.85, 1.15))
        for tissue, (density, t2) in TISSUES.items()
    }
    paint = {"head": _head, "knee": _knee, BEADS: _beads}[kind](rng)
    return Anatomy(kind, paint, to_body, values, waves(rng, 3.0, 14.0, 10))


def _radius(
    x: float, y: Field, z: Field, centre: Float[np.ndarray, " 3"], axes: Float[np.ndarray, " 3"]
) -> Field:
    """Return the distance from an ellipsoid's centre in units of its half axes (x, y, z)."""
    dx, (dy, dz) = (x - centre[0]) / axes[0], ((y - centre[1]) / axes[1], (z - centre[2]) / axes[2])
    return np.sqrt(np.float32(dx**2) + dy**2 + dz**2)


def _ellipsoids(
    rng: np.random.Generator, n: int, spread: Float[np.ndarray, " 3"], sizes: tuple[float, float]
) -> list[tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]]:
    """Draw ellipsoids: centres within +-spread, half axes within `sizes`."""
    return [
        (
            (spread * rng.uniform(-1, 1, 3)).astype(np.float32),
            rng.uniform(*sizes, 3).astype(np.float32),
        )
        for _ in range(n)
    ]


def _head(rng: np.random.Generator) -> Callable[[float, Field, Field], dict[str, np.ndarray]]:
    axes = np.array([rng.uniform(0.85, 1.0), rng.uniform(0.76, 0.86), rng.uniform(0.6, 0.68)])
    fat, skull = rng.uniform(0.03, 0.07), rng.uniform(0.05, 0.09)
    brain = 1 - 0.02 - fat - skull - rng.uniform(0.02, 0.05)
    folds, thickness = waves(rng, 6.0, 10.0, 16), waves(rng, 1.0, 3.0, 6)
    sulcus_width, cortex = rng.uniform(0.25, 0.4), rng.uniform(0.05, 0.08)
    sulcus_depth = rng.uniform(0.2, 0.32)
    ventricles = [
        (
            np.array([rng.uniform(-0.1, 0.2), rng.uniform(-0.12, 0.02), side * gap]),
            np.array([rng.uniform(0.25, 0.5), rng.uniform(0.16, 0.3), rng.uniform(0.03, 0.075)]),
        )
        for gap in [rng.uniform(0.05, 0.1)]
        for side in (-1, 1)
    ]
    nuclei = [
        (
            np.array([rng.uniform(-0.2, 0.1), rng.uniform(-0.02, 0.1), side * gap]),
            rng.uniform(0.08, 0.14, 3),
        )
        for gap in [rng.uniform(0.18, 0.26)]
        for side in (-1, 1)
    ]
    lesions = _ellipsoids(rng, int(rng.poisson(5)), np.array([0.5, 0.45, 0.35]), (0.02, 0.09))
    edge = waves(rng, 4.0, 10.0, 8)

    def paint(x: float, y: Field, z: Field) -> dict[str, np.ndarray]:
        r = _radius(x, y, z, np.zeros(3), axes)
        depth = brain - r + 0.012 * thickness(x, y, z)
        fold = folds(x, y, z)
        in_sulcus = (np.abs(fold) < sulcus_width * (1 - depth / sulcus_depth)) & (
            depth < sulcus_depth
        )
        near_sulcus = (np.abs(fold) < sulcus_width + 0.55) & (depth < sulcus_depth + cortex)
        fissure = (np.abs(z) < 0.012) & (depth < 0.35) & (np.abs(y) > 0.2)
        inside = depth > 0
        ragged = 0.15 * edge(x, y, z)
        ventricle = np.any([_radius(x, y, z, c, a) < 1 + 0.5 * ragged for c, a in ventricles], 0)
        nucleus = np.any([_radius(x, y, z, c, a) < 1 + 0.5 * ragged for c, a in nuclei], 0)
        lesion = np.zeros_like(inside)
        for centre, size in lesions:
            lesion |= _radius(x, y, z, centre, size) < 1 + ragged
        white = inside & ~((depth < cortex) | near_sulcus)
        return {
            "skin": r < 1,
            "fat": r < 0.98,
            "cortical_bone": r < 0.98 - fat,
            "marrow": (r < 0.98 - fat - 0.3 * skull) & (r > 0.98 - fat - 0.65 * skull),
            "csf": r < 0.98 - fat - skull,
            "grey_matter": inside & ~in_sulcus & ~fissure,
            "white_matter": white & ~fissure,
            "deep_grey": nucleus & inside,
            "lesion": lesion & white,
            "fluid": ventricle & inside,
        }

    return paint


def _knee(rng: np.random.Generator) -> Callable[[float, Field, Field], dict[str, np.ndarray]]:
    axes = np.array([3.0, rng.uniform(0.62, 0.78), rng.uniform(0.56, 0.64)])
    fat = rng.uniform(0.08, 0.22)
    seeds = rng.uniform(-0.6, 0.6, (12, 2)).astype(np.float32)
    wobble = [waves(rng, 1.0, 3.0, 6) for _ in range(2)]
    gap, size = rng.uniform(0.16, 0.22), rng.uniform(0.2, 0.27)
    lean, joint = rng.uniform(-0.08, 0.08), rng.uniform(0.0, 0.12)
    condyles = [
        (
            np.array([0.0, joint + side * lean, side * gap]),
            np.array([2.0, size * rng.uniform(0.95, 1.25), size * rng.uniform(0.8, 1.0)]),
        )
        for side in (-1, 1)
    ]
    patella = (
        np.array([rng.uniform(-0.2, 0.2), joint - size - rng.uniform(0.12, 0.17), lean]),
        np.array([0.9, rng.uniform(0.08, 0.11), rng.uniform(0.18, 0.25)]),
    )
    vessels = _ellipsoids(rng, 4, np.array([0.0, 0.12, 0.3]), (0.02, 0.045))
    lesions = _ellipsoids(rng, int(rng.poisson(5)), np.array([0.5, 0.5, 0.45]), (0.03, 0.1))
    effusion, edge = rng.uniform(0.05, 0.2), waves(rng, 3.0, 8.0, 8)
    shell, layer = rng.uniform(0.05, 0.08), rng.uniform(0.1, 0.16)
    trabeculae = waves(rng, 9.0, 16.0, 12)

    def paint(x: float, y: Field, z: Field) -> dict[str, np.ndarray]:
        r = _radius(x, y, z, np.zeros(3), axes) + 0.015 * edge(x, y, z)
        wy, wz = (c + 0.06 * w(x, y, z) for c, w in zip((y, z), wobble, strict=True))
        distances = np.sort(np.stack([np.hypot(wy - a, wz - b) for a, b in seeds]), axis=0)[:2]
        fascia = distances[1] - distances[0] < 0.03
        to_condyle = np.min([_radius(x, y, z, c, a) for c, a in condyles], 0)
        to_patella = _radius(x, y, z, *patella)
        bone = np.minimum(to_condyle, to_patella) + 0.02 * edge(x, y, z)
        front = y < joint + 0.05
        vessel, lesion = np.zeros_like(bone, bool), np.zeros_like(bone, bool)
        for centre, half in vessels:
            vessel |= _radius(0.0, y - 0.45, z, centre, half) < 1
        for centre, half in lesions:
            lesion |= _radius(x, y, z, centre, half) < 1 + 0.15 * edge(x, y, z)
        in_limb = r < 1 - 0.03 - fat
        return {
            "skin": r < 1,
            "fat": r < 0.97,
            "muscle": in_limb & ~fascia,
            "ligament": in_limb & (bone < 1 + layer + effusion + 0.06) & ~front,
            "fluid": in_limb & (bone < 1 + layer + effusion) & front,
            "cartilage": in_limb & (bone < 1 + layer) & front,
            "vessel": vessel & in_limb,
            "cortical_bone": in_limb & (bone < 1),
            "marrow": in_limb & (bone < 1 - shell),
            "deep_grey": in_limb & (bone < 1 - shell) & (trabeculae(x, y, z) > 1.2),
            "lesion": lesion & in_limb & (bone < 1 - shell),
        }

    return paint


def _beads(rng: np.random.Generator) -> Callable[[float, Field, Field], dict[str, np.ndarray]]:
    """Beads without signal, down to a pixel in size, everywhere in water."""
    shape = waves(rng, 4.0, 56.0, 48)

    def paint(x: float, y: Field, z: Field) -> dict[str, np.ndarray]:
        bead = shape(x, y, z) > 0.4
        return {"fluid": ~bead, "air": bead}

    return paint
