"""The type checker of the jaxtyping signatures while the tests run: an int is a valid float."""

from beartype import BeartypeConf, beartype

numeric_tower = beartype(conf=BeartypeConf(is_pep484_tower=True))
