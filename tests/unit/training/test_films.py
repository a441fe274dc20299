import csv

import av
import numpy as np
import pytest

from clips import Clip
from fimq_training.datasets.catalogue import Entry
from fimq_training.evaluation.labels import Labels
from fimq_training.manipulations.films import (
    LABELS,
    LEAST_FRAMES,
    VARIANTS,
    FilmMaker,
    write_film,
    write_films,
)
from fimq_training.manipulations.landmarks import Mesh
from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FoundFace

FRAMES = 12


class Finder:
    """Finds the face of the samples where they have it, but for the frames that it is told."""

    name = "told"

    def __init__(self, box, without=()):
        self._box, self._without, self._asked = box, without, -1

    def find(self, _picture, _hints=()):
        self._asked += 1
        if self._asked in self._without:
            return []
        x, y = self._box.centre
        return [FoundFace(self._box, 0.9, ((x, y),) * 6)]


class Meshes:
    def __init__(self, points):
        self._points = points

    def read(self, _picture, _centre, _side):
        return Mesh(self._points, 0.99)


@pytest.fixture
def entry(samples, tmp_path):
    """A clip that shows a sample, a little darker from frame to frame."""

    def content(count, width, height):
        return ((samples[0].pixels * (1 - i / 100)).astype(np.uint8) for i in range(count))

    path = tmp_path / "videos" / "made" / "person_0.mp4"
    path.parent.mkdir(parents=True)
    side = samples[0].pixels.shape[0]
    Clip(frames=30, width=side, height=side, content=content, options={"crf": "5"}).write(path)
    return Entry("videos/made", path, ("person_0",))


@pytest.fixture
def films_of(samples, entry):
    def made(*, without=(), frames=FRAMES, seed=1):
        finder = Finder(samples[0].box, without)
        maker = FilmMaker(samples, finder, Meshes(samples[0].points), seed)
        return list(maker.films([entry], frames))

    return made


def test_a_film_is_one_face_real_and_forged_with_one_draw(films_of):
    (film,) = films_of()
    assert (film.person, film.source) == ("person_0", "person_0")
    assert film.method.startswith("self_")
    assert len(film.real) == len(film.fake) == FRAMES
    shapes = {picture.shape for picture in (*film.real, *film.fake)}
    assert len(shapes) == 1
    assert all(length % 2 == 0 for length in shapes.pop()[:2])
    changes = [
        np.abs(fake.astype(int) - real).mean()
        for real, fake in zip(film.real, film.fake, strict=True)
    ]
    assert min(changes) > 0
    assert max(changes) < 3 * min(changes)


def test_the_seed_decides_it(films_of):
    (one,), (again,), (other,) = films_of(), films_of(), films_of(seed=2)
    assert np.array_equal(one.fake, again.fake)
    assert not np.array_equal(one.fake, other.fake)


def test_frames_without_a_face_end_a_film_or_begin_it_anew(films_of):
    (late,) = films_of(without={2}, frames=20)
    assert len(late.real) == 17
    (early,) = films_of(without={LEAST_FRAMES + 1}, frames=20)
    assert len(early.real) == LEAST_FRAMES + 1
    assert films_of(without={4, 8}) == []


def test_every_variant_can_be_read_and_its_labels_hold(films_of, tmp_path):
    films = films_of()
    out = tmp_path / "films"
    told = list(write_films(iter(films), out))
    assert [files for _, files in told] == [2 * len(VARIANTS)]
    labels = Labels.read(out / LABELS)
    assert not labels.faults
    assert {label.compression for label in labels.lines.values()} == set(VARIANTS)
    assert {label.unit for label in labels.lines.values()} == {"person_0"}
    with (out / LABELS).open() as rows:
        for row in csv.DictReader(rows):
            assert (row["label"] == "manipulated") == bool(row["method"])
            with av.open(str(out / row["file"])) as container:
                assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_variants_do_what_their_names_say(films_of, tmp_path):
    (film,) = films_of()
    side = film.real[0].shape[0]
    sizes, bytes_of = {}, {}
    for name, variant in VARIANTS.items():
        path = tmp_path / f"{name}{variant.suffix}"
        write_film(path, film.real, variant)
        bytes_of[name] = path.stat().st_size
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            sizes[name] = (stream.width, stream.height)
            assert stream.codec_context.name in {"h264", "hevc", "vp9", "libvpx-vp9"}
    assert sizes["halved"] == (side // 2 // 2 * 2,) * 2
    assert sizes["letterboxed"][1] == side
    assert sizes["letterboxed"][0] / side == pytest.approx(16 / 9, abs=0.02)
    assert bytes_of["h264-40"] < bytes_of["h264-32"] < bytes_of["h264-23"]


def test_clips_of_people_without_samples_are_left_out(samples, entry):
    stranger = Entry("videos/other", entry.path, ("somebody",))
    maker = FilmMaker(samples, Finder(Box(0, 0, 100, 100)), Meshes(samples[0].points), 1)
    assert list(maker.films([stranger], FRAMES)) == []
