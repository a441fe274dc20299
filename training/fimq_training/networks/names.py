"""Names of a model's weights: the same in every process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

#: Layers of Keras's own making that it numbers as they come; the rest have names of ours.
_NUMBERED = re.compile(r"\b(normalization)_\d+(?=/)")


def by_name(variables: Iterable[Any]) -> dict[str, Any]:
    """Variables by layer and name."""
    result = {_NUMBERED.sub(r"\1", variable.path): variable for variable in variables}
    if len(result) < len(list(variables)):
        raise RuntimeError("two weights have one name")
    return result
