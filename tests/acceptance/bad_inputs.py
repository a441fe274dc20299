"""The table of bad and awkward inputs: each file, how it is made, and its one expected end."""

from __future__ import annotations

from dataclasses import replace

from expected import (
    CLEAR,
    FEW,
    FORGED,
    NO_FACE,
    TOO_SMALL,
    UNUSABLE,
    Row,
    at_face,
    is_cut,
    samples,
)
from odd_files import ODD

import awkward
import portraits
from awkward import FILM, SCENE
from clips import write_sound_only
from portraits import WIDTH, portrait

FAILED = [
    Row("sound.mp4", write_sound_only, "no_video_stream"),
    Row("cover.mp4", lambda path: write_sound_only(path, cover=True), "no_video_stream"),
    Row("without-index.mp4", awkward.without_index, "truncated"),
    Row("index-alone.mp4", awkward.index_alone, "truncated"),
    Row("header-alone.mp4", awkward.header_alone, "truncated"),
    Row("off-the-list.mkv", replace(FILM, codec="ffv1", options={}).write, "unsupported_codec"),
    Row("not-built-in.mp4", awkward.patched(awkward.unknown_codec), "unsupported_codec"),
    Row("encv.mp4", awkward.patched(awkward.encrypted_entry), "encrypted"),
    Row("sinf.mp4", awkward.patched(awkward.encrypted_sinf), "encrypted"),
    Row("noise.mp4", awkward.content(bytes(range(128, 256)) * 50), "not_a_video"),
]

#: By what is to be seen in them.
SEEN = [
    Row("scene.mp4", SCENE.write, NO_FACE),
    Row(
        "smiley.mp4",
        replace(FILM, content=portraits.of(portraits.cartoon())).write,
        (NO_FACE, UNUSABLE),
        broken="the face finder takes a drawn smiley for a face, with scores about .6",
    ),
    Row(
        "small-face.mp4",
        replace(FILM, content=portraits.of(portraits.small_face())).write,
        TOO_SMALL,
    ),
    Row(
        "half-a-face.mp4",
        replace(FILM, content=portraits.of(portraits.window(141, 0, 160, 120))).write,
        (NO_FACE, UNUSABLE, FEW),
        lambda found: all(face.quality < 0.2 for face in found.faces),
    ),
    Row(
        "upside-down.mp4",
        replace(FILM, content=portraits.of(portrait()[::-1].copy())).write,
        (NO_FACE, UNUSABLE),
    ),
    Row(
        "comes-and-goes.mp4",
        replace(FILM, content=portraits.comes_and_goes).write,
        CLEAR,
        lambda found: (
            {face.frame_index for face in found.faces} == {12, 18, 24, 36}
            and (found.tracks[0].first_frame, found.tracks[0].last_frame) == (12, 24)
        ),
    ),
    *(
        Row(
            f"two-who-swap-{first}.mp4",
            replace(FILM, width=2 * WIDTH, content=portraits.swapping(first=first)).write,
            (FORGED, ("uncertain", "between_thresholds"), ("uncertain", "too_little_support")),
        )
        for first in (True, False)
    ),
    Row(
        "fills-the-picture.mp4",
        replace(FILM, content=portraits.of(portraits.window(100, 40, 84, 63))).write,
        (CLEAR, UNUSABLE),
        lambda found: bool(found.faces),
    ),
    Row(
        "sixty-faces.mp4",
        replace(
            FILM, frames=6, width=1280, height=768, content=portraits.of(portraits.crowd())
        ).write,
        CLEAR,
        lambda found: (
            found.document["counts"]["faces_found"] >= 6 * 55
            and found.document["counts"]["faces_scored"] <= 6 * 20
        ),
    ),
    Row(
        "over-the-edge.mp4",
        replace(FILM, content=portraits.of(portraits.window(118, 20, 160, 120))).write,
        (CLEAR, UNUSABLE),
        lambda found: bool(found.faces) and found.faces[0].box[0] < 10,
    ),
    Row(
        "one-blue-of-forty.mp4",
        replace(FILM, content=portraits.one_blue).write,
        CLEAR,
    ),
    Row(
        "two-persons-one-forged.mp4",
        replace(FILM, width=2 * WIDTH, content=portraits.two_persons).write,
        FORGED,
        lambda found: found.verdict is not None and found.verdict.track == 1,
    ),
    Row(
        "forged.mp4",
        replace(FILM, content=portraits.of(portraits.blue(portrait()))).write,
        FORGED,
    ),
    Row(
        "forged-cut-at-60.mp4",
        lambda path: path.write_bytes(
            (
                whole := replace(
                    FILM,
                    content=portraits.of(portraits.blue(portrait())),
                    muxer={"movflags": "+faststart"},
                )
                .write(path)
                .read_bytes()
            )[: len(whole) * 6 // 10]
        ),
        FORGED,
        is_cut,
    ),
]

WORKS = [*ODD, *SEEN]

#: Rows of a model that cannot be used.
MODELS = [
    Row("short-model.mp4", FILM.write, "model_invalid", model="short"),
    Row("other-hash.mp4", FILM.write, "model_invalid", model="other-hash"),
    Row("wrong-classes.mp4", FILM.write, "model_invalid", model="wrong-classes"),
    Row("nan-model.mp4", FILM.write, "model_invalid", model="nan"),
]

#: By FIMQ_MIN_SAMPLES=1, which turns the halving of the stride off.
LENGTHS = [
    Row(
        f"{frames}-frames.mp4",
        replace(FILM, frames=frames).write,
        FEW,
        samples(*range(0, frames, 25)),
    )
    for frames in (1, 24, 25, 26, 51)
]

#: By small limits of pixels and running time.
LIMITS = [
    Row("too-large.mp4", replace(FILM, width=402, height=304).write, "too_many_pixels"),
    Row("as-large-as-allowed.mp4", replace(FILM, width=400, height=304).write, CLEAR),
    Row(
        "large-later.ts",
        awkward.joined(*[FILM] * 5, replace(FILM, width=640, height=480)),
        "too_many_pixels",
    ),
    Row("too-large.jpg", awkward.large_still(402, 304), "too_many_pixels"),
    Row("too-long.mp4", replace(SCENE, frames=290).write, "too_long"),
    Row("long-enough.mp4", replace(SCENE, frames=250).write, NO_FACE),
    Row("thousand-hours.mp4", awkward.patched(awkward.thousand_hours), CLEAR, at_face),
]

CHECKED = [*FAILED, *WORKS, *MODELS, *LENGTHS, *LIMITS]
