"""The library that most networks are from."""

import sys
from types import ModuleType

from monarch_core.extras import require


def transformers() -> ModuleType:
    """Import `transformers`, without torchvision.

    It imports torchvision where that is installed and does not need it; one that was built for
    another torch, as that of the package index beside a CPU torch, ends the import. So it is hidden
    from this process, unless something has imported it already.

    Raises:
        MissingExtraError: the library is not installed.
    """
    require("sparse", "transformers")
    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
    import transformers as library

    return library
