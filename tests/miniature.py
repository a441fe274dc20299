"""Miniature data sets in the published layouts: the smallest trees that hold together.

`film` and `picture` are the contents of every video and every still: bytes of real ones where
something is decoded, anything where names alone are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

PAIRS = ("000_003", "003_000")


def put(root: Path, paths: Iterable[str], content: bytes) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def ffpp(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    """Two originals and a pair of every method; two actors and a fake of one."""
    original, manipulated = "original_sequences", "manipulated_sequences"
    put(root, (f"{original}/youtube/c23/videos/{i}.mp4" for i in ("000", "003")), film)
    for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"):
        put(root, (f"{manipulated}/{method}/c23/videos/{pair}.mp4" for pair in PAIRS), film)
    put(root, (f"{original}/actors/c23/videos/{a}__kitchen_still.mp4" for a in ("01", "02")), film)
    fake = "01_02__kitchen_still__YVGY8LOK.mp4"
    put(root, [f"{manipulated}/DeepFakeDetection/c23/videos/{fake}"], film)


def celeba(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    put(root, (f"img_align_celeba/00000{number}.jpg" for number in (1, 2, 3)), picture)
    (root / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 7\n000003.jpg 2880\n")


def celeba_hq(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    put(root, ("CelebA-HQ-img/0.jpg", "CelebA-HQ-img/1.jpg"), picture)
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(
        "idx  orig_idx  orig_file\n0       2       000003.jpg\n1       1       000002.jpg\n"
    )
    (root / "identity_CelebA.txt").write_text("000002.jpg 7\n000003.jpg 2880\n")


def celeb_df(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    put(root, ("Celeb-real/id0_0000.mp4", "Celeb-real/id1_0000.mp4"), film)
    put(root, ("Celeb-synthesis/id0_id1_0000.mp4", "YouTube-real/00170.mp4"), film)
    (root / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"
    )


def dfdc(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    for part, real, fake in ((0, "aaaa", "bbbb"), (1, "cccc", "dddd")):
        folder = f"dfdc_train_part_{part}"
        put(root, (f"{folder}/{real}.mp4", f"{folder}/{fake}.mp4"), film)
        entries = {
            f"{real}.mp4": {"label": "REAL", "split": "train", "original": None},
            f"{fake}.mp4": {"label": "FAKE", "split": "train", "original": f"{real}.mp4"},
        }
        (root / folder / "metadata.json").write_text(json.dumps(entries))


def folder(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    put(root, ("real/one.mp4", "swapped/deeper/two.mp4"), film)
    put(root, ("real/three.jpg",), picture)


def csv(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    put(root, ("one.mp4", "some/two.mp4"), film)
    put(root, ("three.jpg",), picture)
    (root / "manifest.csv").write_text(
        "file,manipulated,method,source,target,identities,compression,alone\n"
        "one.mp4,real,,,,anna,,1\n"
        "some/two.mp4,fake,swap,bert,anna,anna;bert,c23,\n"
        "three.jpg,0,,,,,,\n"
    )


def portraits(root: Path, film: bytes = b"x", picture: bytes = b"x") -> None:
    put(root, ("portraits/canada/one.jpg", "portraits/unknown/two.jpg"), picture)
    put(root, ("videos/webcam_a/three.mp4", "videos/heads_and_groups/four.mp4"), film)
    (root / "manifest.csv").write_text(
        "folder,file,identity_id\n"
        "portraits/canada,one.jpg,anna\n"
        "portraits/unknown,two.jpg,nobody\n"
        "videos/webcam_a,three.mp4,bert\n"
        "videos/heads_and_groups,four.mp4,anna;bert\n"
    )


TREES: dict[str, Callable[..., None]] = {
    "ffpp": ffpp,
    "celeba": celeba,
    "celeba-hq": celeba_hq,
    "celeb-df": celeb_df,
    "dfdc": dfdc,
    "folder": folder,
    "csv": csv,
    "portraits": portraits,
}
