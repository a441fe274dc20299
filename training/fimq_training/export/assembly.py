"""Assembly: the four files of a package, proved, and under their name only then.

`model.onnx`; `manifest.json`; `golden.npz`; `card.md`. Made in a folder beside, which takes the
package's name when the gate has passed it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fimq_training.arrays import Arrays, write_arrays
from fimq_training.export import gate
from fimq_training.export.card import card
from fimq_training.export.gate import Passed
from fimq_training.export.golden import golden
from fimq_training.export.onnx import Exported, Precision, to_onnx
from fimq_worker.vision.crops import CropRule


def assemble(
    folder: Path,
    network: Exported,
    facts: Mapping[str, Any],
    precision: Precision = "f16",
) -> Passed:
    """Write a package, or nothing.

    Args:
        folder: its place; what was there is replaced.
        network: what is exported.
        facts: the manifest but for the hash of the model's file.
        precision: how kernels are stored.

    Raises:
        ExportFailed: the network could not be converted.
        ExportDiffers: the file does not score as the network does.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        to_onnx(network, part / "model.onnx", precision)
        rule = CropRule(scale=facts["crop"]["scale"], size=facts["crop"]["size"])
        found = golden(network, rule)
        arrays: Arrays = {"crops": found.crops, "scores": found.scores}
        write_arrays(part / "golden.npz", arrays, packed=True)
        whole = dict(facts)
        whole["sha256"] = hashlib.sha256((part / "model.onnx").read_bytes()).hexdigest()
        text = json.dumps(whole, indent=2) + "\n"
        (part / "manifest.json").write_text(text, encoding="utf-8")
        (part / "card.md").write_text(card(whole), encoding="utf-8")
        passed = gate.check(part, network)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return passed
