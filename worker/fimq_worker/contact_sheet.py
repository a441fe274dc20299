"""The contact sheet: the faces that were looked at, with their boxes and scores, as one PNG.

Run as `python -m fimq_worker.contact_sheet OUT.png JOB...`. The video is decoded again by
the confined child; this process draws on the crops that come back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq import logs
from fimq.errors import FimqError
from fimq.ledger import reading
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Face
from fimq.settings import Settings, load_settings
from fimq.store.base import Store, open_store
from fimq_worker.child.client import ChildPool
from fimq_worker.child.protocol import AnalyseRequest, PlanRequest

#: Width of the context around a face, in widths of its box, and its side on the sheet.
_CONTEXT, _SIDE = 2.2, 132
_COLUMNS, _ROWS = 8, 2
_CAPTION = 20
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Strip:
    """The faces of one video, spread over its time."""

    title: str
    tiles: Sequence[Picture]


def draw(strips: Sequence[Strip]) -> Picture:
    """Lay strips under each other; RGB."""
    width = _COLUMNS * _SIDE
    rows: list[Picture] = []
    for strip in strips:
        rows.append(_line(strip.title, width))
        tiles = list(strip.tiles) or [_blank("no face", _SIDE)]
        for start in range(0, len(tiles), _COLUMNS):
            row = np.full((_SIDE, width, 3), 255, np.uint8)
            for column, tile in enumerate(tiles[start : start + _COLUMNS]):
                row[:, column * _SIDE : (column + 1) * _SIDE] = tile
            rows.append(row)
    return np.concatenate(rows)


def strip_of(job_id: str, ledger: Ledger, store: Store, children: ChildPool) -> Strip:
    """The faces of a job, decoded again.

    Raises:
        JobNotFound, StoreMissing, StoreChanged, AnalysisError: it cannot be drawn.
    """
    with ledger.read() as session:
        record = reading.record(session, job_id)
        _, faces, _ = reading.evidence_of(session, job_id)
    title = record.job.name
    if record.verdict is not None:
        title += f": {record.verdict.outcome.replace('_', ' ')}"
    by_place = {(face.frame_index, face.ordinal): face for face in faces}
    frames = sorted({face.frame_index for face in faces})
    wanted = set(_spread(frames, _COLUMNS * _ROWS))
    if record.verdict is None or not wanted:
        return Strip(title, [])
    tiles: list[Picture] = []
    with (
        store.open(record.video.store_key, record.video.sha256) as video,
        children.borrow() as child,
    ):
        options = record.job.options
        plan = child.plan(
            video.fileno(), PlanRequest(options["sampling"], options["min_samples"], segment_s=1e9)
        )
        request = AnalyseRequest(plan.spans[0], plan.sampling, crop_scale=_CONTEXT, crop_size=_SIDE)
        for sample in child.analyse(video.fileno(), request):
            if sample.frame_index not in wanted:
                continue
            for ordinal, found in enumerate(sample.faces):
                face = by_place.get((sample.frame_index, ordinal))
                if face is not None and found.crop is not None:
                    tiles.append(_tile(found.crop, face))
    return Strip(title, tiles[: _COLUMNS * _ROWS])


def _spread(frames: Sequence[int], count: int) -> list[int]:
    if len(frames) <= count:
        return list(frames)
    return [frames[round(place)] for place in np.linspace(0, len(frames) - 1, count)]


def _tile(crop: Picture, face: Face) -> Picture:
    tile = crop.copy()
    _, _, width, height = face.box
    # The crop is centred on the box and `_CONTEXT` times its longer side wide.
    scale = _SIDE / (_CONTEXT * max(width, height))
    half = (width * scale / 2, height * scale / 2)
    corners = [
        (round(_SIDE / 2 + sign * half[0]), round(_SIDE / 2 + sign * half[1])) for sign in (-1, 1)
    ]
    cv2.rectangle(tile, corners[0], corners[1], (40, 220, 90), 1, cv2.LINE_AA)
    text = "not scored" if face.score is None else f"{face.score:.2f}"
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, (4, _SIDE - 6), _FONT, 0.42, colour, thickness, cv2.LINE_AA)
    return tile


def _line(text: str, width: int) -> Picture:
    line = np.full((_CAPTION, width, 3), 255, np.uint8)
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(line, plain, (4, _CAPTION - 6), _FONT, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return line


def _blank(text: str, side: int) -> Picture:
    tile = np.full((side, side, 3), 235, np.uint8)
    cv2.putText(tile, text, (8, side // 2), _FONT, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
    return tile


def _write(path: Path, job_ids: Sequence[str], settings: Settings) -> None:
    ledger, store = Ledger(settings.ledger), open_store(settings.store, **settings.store_options)
    children = ChildPool(settings)
    try:
        sheet = draw([strip_of(job_id, ledger, store, children) for job_id in job_ids])
    finally:
        children.close()
        ledger.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.png")
    cv2.imwrite(str(part), sheet[:, :, ::-1])
    part.replace(path)


if __name__ == "__main__":
    logs.configure("error")
    try:
        _write(Path(sys.argv[1]), sys.argv[2:], load_settings())
    except FimqError as failure:
        sys.exit(f"{failure.message} [{failure.code}]")
