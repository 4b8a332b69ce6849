"""The overrides of a command line, as lists of words: their keys, and the names of folders."""

import hashlib
import re
from collections.abc import Sequence

from omegaconf import OmegaConf

_LONGEST_NAME = 150  # of a folder; file systems allow 255 bytes


def key_of(override: str) -> str:
    """Return the key of an override."""
    return override.lstrip("+").partition("=")[0]


def job_name(overrides: Sequence[str], keys: Sequence[str] | None = None) -> str:
    """Return the name of the folder of a job of a sweep: `viscosity_1e-3-seed_0` for its overrides.

    Configs reach it as `${job_name:OVERRIDES}`, or `${job_name:OVERRIDES,KEYS}`. Being made of the
    overrides alone, it is the same whenever the sweep is started.

    Args:
        overrides: of the job, as `dataset.viscosity=1e-3`.
        keys: that the name holds, where they are given; None for all. What a script adds to the
            overrides by itself is then left out as well.
    """
    words = [
        f"{key_of(override).split('.')[-1]}_{override.partition('=')[2]}"
        for override in overrides
        if keys is None or key_of(override) in keys
    ]
    name = "-".join(re.sub(r"[^A-Za-z0-9_.+-]+", "_", word).strip("_") for word in words) or "run"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
        name = f"{name[:_LONGEST_NAME]}-{digest}"
    return name


OmegaConf.register_new_resolver("job_name", job_name, replace=True)
