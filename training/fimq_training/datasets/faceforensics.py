"""FaceForensics++ (Rössler et al., 2019) and DeepFakeDetection (Google and Jigsaw, 2019).

Its published layout, as its download script leaves it and its README describes it:

    original_sequences/{youtube,actors}/{raw,c23,c40}/videos/*.mp4
    manipulated_sequences/METHOD/{raw,c23,c40}/videos/*.mp4

`youtube` has 000.mp4 to 999.mp4; a fake of it is TARGET_SOURCE.mp4, and every original is the
target of one fake a method. `actors` has ACTOR__SCENE.mp4; DeepFakeDetection has
TARGETACTOR_SOURCEACTOR__SCENE__EXPERIMENT.mp4. A sequence shows one person, whose number stands
for that person, as in the official split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fimq.errors import DatasetInvalid, DatasetMissing
from fimq_training.datasets.base import VIDEOS, Item, Option, demand, names

COMPRESSIONS = ("raw", "c23", "c40")
#: What was made from `youtube`, in the order of the paper, and from `actors`.
SEQUENCE_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
ACTOR_METHOD = "DeepFakeDetection"
METHODS = (*SEQUENCE_METHODS, ACTOR_METHOD)

_ORIGINAL = re.compile(r"(\d{3})\.mp4")
_FAKE = re.compile(r"(\d{3})_(\d{3})\.mp4")
_ACTOR = re.compile(r"(\d{2})__(.+)\.mp4")
_ACTOR_FAKE = re.compile(r"(\d{2})_(\d{2})__(.+)__(\w+)\.mp4")


@dataclass(frozen=True)
class FaceForensics:
    """The videos of some methods and compressions, with their originals."""

    root: Path
    compressions: Sequence[str] = ()  #: those that there are if left out
    methods: Sequence[str] = ()  #: likewise
    partial: bool = False  #: take what there is

    @property
    def options(self) -> Mapping[str, Option]:
        """See `DataSet`."""
        return {"compressions": sorted(self.compressions), "methods": sorted(self.methods)}

    def items(self) -> list[Item]:
        """See `DataSet`."""
        there = [c for c in self.compressions or COMPRESSIONS if any(self._there(c))]
        if not there:
            wanted = "/".join(self.compressions or COMPRESSIONS)
            raise DatasetMissing(
                f"{self.root} has no original_sequences or manipulated_sequences with {wanted}"
            )
        demand(
            [f"videos of {c}" for c in self.compressions if c not in there],
            self.root,
            partial=self.partial,
        )
        return sorted(
            (item for compression in there for item in self._compressed(compression)),
            key=lambda item: item.path,
        )

    def _there(self, compression: str) -> Iterator[str]:
        """Collections that have a folder."""
        for collection in ("youtube", "actors", *METHODS):
            if (self.root / _folder(collection, compression)).is_dir():
                yield collection

    def _compressed(self, compression: str) -> Iterator[Item]:
        folders = set(self._there(compression))
        methods = self.methods or [method for method in METHODS if method in folders]
        lacking = [_folder(m, compression) for m in methods if m not in folders]
        fakes = {method: self._names(method, compression) for method in methods}
        if not self.methods or set(methods) & set(SEQUENCE_METHODS):
            originals = self._names("youtube", compression)
            lacking += _lacking_of_pairs(originals, fakes, compression)
            yield from (self._original(name, compression) for name in originals)
        if not self.methods or ACTOR_METHOD in methods:
            actors = self._names("actors", compression)
            if fakes.get(ACTOR_METHOD) and not actors:
                lacking.append(_folder("actors", compression))
            yield from (self._actor(name, compression) for name in actors)
        demand(lacking, self.root, partial=self.partial)
        for method, found in fakes.items():
            yield from (self._fake(method, name, compression) for name in found)

    def _names(self, collection: str, compression: str) -> list[str]:
        """Names of a collection that are as they should be."""
        form = {"youtube": _ORIGINAL, "actors": _ACTOR, ACTOR_METHOD: _ACTOR_FAKE}
        folder = _folder(collection, compression)
        found = names(self.root / folder, VIDEOS)
        odd = [name for name in found if not form.get(collection, _FAKE).fullmatch(name)]
        if odd and not self.partial:
            raise DatasetInvalid(f"{folder}/{odd[0]} is not named as FaceForensics++ names files")
        return [name for name in found if name not in odd]

    def _original(self, name: str, compression: str) -> Item:
        return Item(
            path=f"{_folder('youtube', compression)}/{name}",
            collection="Youtube",
            manipulated=False,
            identities=(name.removesuffix(".mp4"),),
            compression=compression,
            alone=True,
        )

    def _actor(self, name: str, compression: str) -> Item:
        return Item(
            path=f"{_folder('actors', compression)}/{name}",
            collection="Actors",
            manipulated=False,
            identities=(f"actor_{name[:2]}",),
            compression=compression,
            alone=True,
        )

    def _fake(self, method: str, name: str, compression: str) -> Item:
        if method == ACTOR_METHOD:
            source, identities = f"actor_{name[3:5]}", (f"actor_{name[:2]}", f"actor_{name[3:5]}")
            target = f"{name[:2]}__{name[7:].rsplit('__', 1)[0]}"  # the actor's video of the scene
        else:
            target, source = name[:3], name[4:7]
            identities = (target, source)
        return Item(
            path=f"{_folder(method, compression)}/{name}",
            collection=method,
            manipulated=True,
            method=method,
            source=source,
            target=target,
            identities=identities,
            compression=compression,
            alone=True,
        )


def _folder(collection: str, compression: str) -> str:
    kind = "original" if collection in {"youtube", "actors"} else "manipulated"
    return f"{kind}_sequences/{collection}/{compression}/videos"


def _lacking_of_pairs(
    originals: Sequence[str], fakes: Mapping[str, Sequence[str]], compression: str
) -> list[str]:
    """Originals of fakes, and fakes of originals, that are not there."""
    ids = {name[:3] for name in originals}
    lacking: dict[str, None] = {}
    for method in (m for m in SEQUENCE_METHODS if m in fakes):
        seen = {part for name in fakes[method] for part in (name[:3], name[4:7])}
        for missing in sorted(seen - ids):
            lacking[f"{_folder('youtube', compression)}/{missing}.mp4"] = None
        for missing in sorted(ids - {name[:3] for name in fakes[method]}):
            lacking[f"{_folder(method, compression)}/{missing}_*.mp4"] = None
    return list(lacking)
