"""The fit loop, optimisers, checkpoints and devices; knows no task."""

from monarch_core.extras import require

require("train", "hydra", "lightning_fabric", "omegaconf", "rich")
