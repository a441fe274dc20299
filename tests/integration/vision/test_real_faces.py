"""Real portraits and clips. What they must give was seen by eye, not by a detector."""

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fimq.models.face_models import path
from fimq_worker.vision.crops import CropRule, crop_face
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.picture import Picture
from fimq_worker.vision.quality import LEAST_USABLE, face_quality
from fimq_worker.vision.tracks import SampleFaces, assign_tracks

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("FIMQ_TEST_DATA")
    if not folder:
        pytest.skip("needs FIMQ_TEST_DATA")
    return Path(folder)


@pytest.fixture(scope="module")
def finder(face_models: Path) -> FullRangeFinder:
    return FullRangeFinder(path(face_models, "full_range_sparse"))


def portrait(file: Path) -> Picture:
    rgb = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    return Picture.from_rgb(np.asarray(rgb, np.uint8))


def samples(file: Path) -> list[Picture]:
    with av.open(str(file), metadata_errors="replace") as container:
        frames = enumerate(container.decode(video=0))
        return [Picture.from_frame(frame) for index, frame in frames if index % 25 == 0]


@pytest.mark.parametrize("folder", ["canada", "london_smiling", "uk_parliament", "us_congress"])
def test_portraits_have_one_good_face(finder, data, folder):
    for file in sorted((data / "portraits" / folder).iterdir())[:12]:
        picture = portrait(file)
        (face,) = finder.find(picture)
        crop = crop_face(picture, face.box, CropRule())
        assert face_quality(face, crop, picture.width, picture.height) > 0.4, file.name


def test_upside_down_portraits_are_missed_or_unusable(finder, data):
    for file in sorted((data / "portraits" / "us_congress").iterdir())[:12]:
        upright = portrait(file)
        turned = upright.rgb(None, upright.width, upright.height)[::-1, ::-1]
        picture = Picture.from_rgb(turned)
        for face in finder.find(picture):
            crop = crop_face(picture, face.box, CropRule())
            quality = face_quality(face, crop, picture.width, picture.height)
            assert quality < LEAST_USABLE, file.name


@pytest.mark.parametrize(
    "clip",
    [
        "sign_language/asl_again.mkv",
        "speaker_white_house/address_2.mp4",
        "speakers_grid/grid_0006_5.mpg",
        "webcam_a/webcam_a_2.mp4",
    ],
)
def test_one_speaker_is_one_track(finder, data, clip):
    faces = [finder.find(picture) for picture in samples(data / "videos" / clip)]
    rows = assign_tracks([SampleFaces(tuple(face.box for face in found)) for found in faces])
    assert [row for row in rows if row] == [[0]] * len(rows)


@pytest.mark.parametrize("clip", ["bolt-multi-size-detection.gif", "car-detection.mp4"])
def test_things_are_no_faces(finder, data, clip):
    pictures = samples(data / "videos" / "faceless" / clip)[:8]
    assert [len(finder.find(picture)) for picture in pictures] == [0] * len(pictures)
