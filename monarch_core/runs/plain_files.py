"""YAML that somebody else may have written, read as plain values or refused.

A run folder can come from a stranger. What is read here is limited in size before it is parsed,
holds numbers, words, lists and mappings only, and refers to nothing: neither to other parts of
itself (aliases, with which a few lines stand for billions) nor to classes (tags). Interpolations as
`${oc.env:NAME}` stay the words that they are.
"""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

# The configs and records of this suite are smaller than 10 kB, and five levels deep.
LARGEST_YAML = 2**18
DEEPEST = 20


def read_yaml(path: Path) -> Any:
    """Return the plain values of a YAML file.

    Raises:
        ValueError: there is no such file, it is too large, no UTF-8 or no YAML, or holds more than
            plain values.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist or is no file; restore it from a copy.")
    with path.open("rb") as file:
        content = file.read(LARGEST_YAML + 1)
    try:
        return parse_yaml(content)
    except ValueError as error:
        raise ValueError(f"{path} {error}; restore it from a copy.") from error


def parse_yaml(content: bytes) -> Any:
    """Return the plain values of a YAML document.

    Raises:
        ValueError: it is too large or no YAML, or holds more than plain values; the message goes on
            where the name of the document ends.
    """
    if len(content) > LARGEST_YAML:
        raise ValueError(f"is larger than the {LARGEST_YAML} bytes that such a file may have")
    try:
        text = content.decode("utf-8")
        reason = _beyond_plain(text)
        if reason is None:
            return OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except (yaml.YAMLError, ValueError, OmegaConfBaseException) as error:
        raise ValueError(f"is not valid YAML ({' '.join(str(error).split())})") from error
    raise ValueError(reason)


def _beyond_plain(text: str) -> str | None:
    """Say what a document holds beside plain values, and where; None if nothing.

    The parser goes through the text piece by piece, whatever it stands for; values are made of it
    only afterwards.
    """
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        where = f"in line {event.start_mark.line + 1}"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return f"has more than {DEEPEST} levels {where}"
        if getattr(event, "anchor", None) is not None:
            return f"refers to itself (an anchor or alias, {event.anchor[:40]!r}) {where}"
        if getattr(event, "tag", None) is not None:
            return f"asks for an object ({event.tag[:40]!r}) {where}, where plain values belong"
        value = getattr(event, "value", "")
        if any(not (c.isprintable() or c in "\n\t") for c in value):
            return f"holds control characters ({value[:40]!r}) {where}"
    return None
