"""Names from records, archives and headers, which may come from a stranger."""


def plain_name(name: object, origin: str) -> str:
    """Return a name that is one file of the folder it will be put in, on any system.

    Args:
        name: what is to be the name of a file.
        origin: where it came from, for the error.

    Raises:
        ValueError: if it is empty, a path, hidden, has control characters, or more than 200 bytes.
    """
    if (
        not isinstance(name, str)
        or not name.strip()
        or name.startswith(".")
        or name[1:2] == ":"
        or any(sign in "/\\" or ord(sign) < 32 for sign in name)
        or len(name.encode(errors="replace")) > 200
    ):
        raise ValueError(
            f"{origin} must be a plain file name, got {name!r}: no folder, drive, leading dot or "
            "control character, at most 200 bytes; rename it"
        )
    return name
