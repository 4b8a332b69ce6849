"""The weight of linear layers: the one line in which compared runs differ."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from monarch_core.runs.ranges import MOST, check_ranges, check_unread

_LAYERS = ("include", "exclude", "start")
# The options that each kind of weight reads.
OPTIONS = {
    "dense": (),
    "monarch": ("n_blocks", *_LAYERS),
    "block_diagonal": ("n_blocks", *_LAYERS),
    "low_rank": ("n_blocks", "rank", *_LAYERS),
}
STARTS = ("projection", "scaled", "random", "blocks")
CONTROL = "dense"  # what tables call the layers of the host library, and nothing else


@dataclass
class WeightConfig:
    """What the weight of the chosen linear layers is.

    Attributes:
        name: word for tables.
        kind: dense (the layers of the host library, the control), monarch, block_diagonal or
            low_rank.
        n_blocks: monarch, block_diagonal: blocks of each factor; low_rank without a rank: it takes
            as many numbers as Monarch with so many blocks.
        rank: low_rank: of every weight; null: the smaller size of the layer / n_blocks.
        include: all but dense: patterns of names of layers, as in *.mlp.*; empty: all linear layers
            inside the blocks of the network, so that embeddings and heads stay dense.
        exclude: all but dense: patterns of names to leave dense nevertheless.
        start: all but dense: projection (nearest to the weights of the dense network, of its own
            start or of the run that it starts from), scaled (likewise, with their norms), random
            (the outputs of a new `torch.nn.Linear`) or blocks (random, by the sizes of the blocks;
            for fit.block_rates). null: projection of a run that it starts from, else scaled.
    """

    name: str = MISSING
    kind: str = "monarch"
    n_blocks: int = 4
    rank: int | None = None
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    start: str | None = None

    def __post_init__(self) -> None:
        """Check every value, and that none is given that this kind does not read.

        Raises:
            ValueError: naming the key, its value and what would be accepted.
        """
        if self.kind not in OPTIONS:
            raise ValueError(f"weight.kind must be one of {', '.join(OPTIONS)}, got {self.kind!r}")
        if self.start not in (None, *STARTS):
            raise ValueError(
                f"weight.start must be null or one of {', '.join(STARTS)}, got {self.start!r}"
            )
        check_ranges(self, "weight", {"n_blocks": (1, MOST), "rank": (1, MOST)})
        check_unread(self, "weight", OPTIONS[self.kind])
        if self.is_control != (self.name == CONTROL):
            raise ValueError(
                f"tables call the layers of the host library {CONTROL} and no others, got "
                f"weight.name={self.name} with weight.kind={self.kind}; use weight={CONTROL} for "
                "the control, or another name"
            )

    @property
    def is_control(self) -> bool:
        """Whether the layers are those of the host library, which all others are compared with."""
        return self.kind == "dense"

    def declares(self) -> dict[str, str | bool]:
        """Return what others may want to know, in the words of `runs.declared`.

        There is no basis, and everything learns.
        """
        return {"basis": "", "control": self.is_control, "learns": "both"}
