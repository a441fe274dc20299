from hypothesis import given
from hypothesis import strategies as st

from fimq_worker.vision.box import Box
from fimq_worker.vision.tracks import PATIENCE, SampleFaces, assign_tracks

LEFT = Box(100, 100, 60, 60)
RIGHT = Box(400, 120, 50, 50)

number = st.floats(-500, 500, allow_nan=False).map(lambda value: round(value, 2))
side = st.floats(0, 200, allow_nan=False).map(lambda value: round(value, 2))
boxes = st.lists(st.builds(Box, number, number, side, side), max_size=6, unique=True)
samples = st.lists(st.builds(SampleFaces, boxes.map(tuple), st.booleans()), max_size=8)


def seen(*boxes: Box, cut: bool = False) -> SampleFaces:
    return SampleFaces(boxes, cut)


class TestAssignTracks:
    def test_a_face_that_stays_is_one_track(self):
        assert assign_tracks([seen(LEFT)] * 4) == [[0]] * 4

    def test_two_faces_are_two_tracks_whatever_their_order(self):
        assert assign_tracks([seen(LEFT, RIGHT), seen(RIGHT, LEFT)]) == [[0, 1], [1, 0]]

    def test_a_cut_ends_every_track(self):
        assert assign_tracks([seen(LEFT), seen(LEFT, cut=True)]) == [[0], [1]]

    def test_a_face_that_is_missed_for_a_while_keeps_its_track(self):
        assert assign_tracks([seen(LEFT), *[seen()] * PATIENCE, seen(LEFT)])[-1] == [0]

    def test_a_face_that_is_missed_too_long_is_another(self):
        assert assign_tracks([seen(LEFT), *[seen()] * (PATIENCE + 1), seen(LEFT)])[-1] == [1]

    def test_a_face_elsewhere_is_another(self):
        assert assign_tracks([seen(LEFT), seen(RIGHT)]) == [[0], [1]]

    def test_a_face_of_another_size_is_another(self):
        assert assign_tracks([seen(LEFT), seen(LEFT.scaled(2.5))]) == [[0], [1]]

    def test_the_nearer_face_goes_on(self):
        near, far = Box(110, 100, 60, 60), Box(140, 100, 60, 60)
        assert assign_tracks([seen(LEFT), seen(far, near)]) == [[0], [1, 0]]

    @given(samples)
    def test_every_face_has_one_track_and_no_track_two_faces(self, samples):
        given = assign_tracks(samples)
        assert [len(row) for row in given] == [len(sample.boxes) for sample in samples]
        assert all(len(set(row)) == len(row) for row in given)

    @given(samples)
    def test_ordinals_count_up_without_gaps(self, samples):
        flat = [ordinal for row in assign_tracks(samples) for ordinal in row]
        assert sorted(set(flat)) == list(range(len(set(flat))))

    @given(samples, st.randoms(use_true_random=False))
    def test_the_order_of_faces_does_not_matter(self, samples, random):
        shuffled = []
        for sample in samples:
            order = list(sample.boxes)
            random.shuffle(order)
            shuffled.append(SampleFaces(tuple(order), sample.cut))
        plain = [
            dict(zip(sample.boxes, row, strict=True))
            for sample, row in zip(samples, assign_tracks(samples), strict=True)
        ]
        mixed = [
            dict(zip(sample.boxes, row, strict=True))
            for sample, row in zip(shuffled, assign_tracks(shuffled), strict=True)
        ]
        assert plain == mixed

    @given(samples)
    def test_no_track_crosses_a_cut(self, samples):
        before: set[int] = set()
        for sample, row in zip(samples, assign_tracks(samples), strict=True):
            if sample.cut:
                assert not before & set(row)
            before |= set(row)

    @given(samples)
    def test_twice_the_resolution_gives_the_same_tracks(self, samples):
        doubled = [
            SampleFaces(
                tuple(Box(2 * b.x, 2 * b.y, 2 * b.width, 2 * b.height) for b in sample.boxes),
                sample.cut,
            )
            for sample in samples
        ]
        assert assign_tracks(doubled) == assign_tracks(samples)
