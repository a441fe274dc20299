"""Sampling: by which frames of their videos crops were made, as `dataset.json` beside them says."""

from __future__ import annotations

import json
from pathlib import Path

from fimq.errors import CropsDamaged
from fimq_training.crops.making import SUMMARY
from fimq_training.crops.table import CropTable

UNKNOWN = "unknown"
AND = " and "  #: between the ways of several data sets


def sampling(table: CropTable) -> str:
    """How the videos of a table were sampled, in the words of a manifest.

    `every:25` of every 25th frame; `frames:32` of at most 32, evenly spread, which no job does;
    `unknown` of a folder that says nothing; all of them where folders differ. Stills count nowhere.

    Raises:
        CropsDamaged: a `dataset.json` cannot be read.
    """
    folders = {table.folders[crop.dataset] for crop in table.crops if crop.pts is not None}
    return AND.join(sorted({_of(folder) for folder in folders})) or UNKNOWN


def _of(folder: Path) -> str:
    try:
        options = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["options"]
        ways = [(name, options.get(name)) for name in ("every", "frames")]
    except FileNotFoundError:
        return UNKNOWN
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CropsDamaged(f"{folder / SUMMARY} cannot be read") from error
    return next((f"{name}:{number}" for name, number in ways if number), UNKNOWN)
