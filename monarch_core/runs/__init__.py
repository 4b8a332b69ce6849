"""Run folders: every name, every read and every write in them."""

from monarch_core.extras import require

require("train", "hydra", "omegaconf")
