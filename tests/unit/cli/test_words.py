"""Words: what people read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fimq_api.cli import words


def test_scores_are_short_and_a_missing_one_is_no_zero() -> None:
    assert [words.score(value) for value in (0.0, 0.064, 0.64, 0.999, None)] == [
        ".00",
        ".06",
        ".64",
        "1.0",
        "-",
    ]


def test_times_are_clocks() -> None:
    assert [words.clock(seconds) for seconds in (0, 59.6, 357, 3957)] == [
        "0:00",
        "1:00",
        "5:57",
        "1:05:57",
    ]


def test_a_line_over_time_shows_the_highest_score_of_each_column_and_gaps() -> None:
    points = [(0.0, 0.1), (1.0, 0.95), (1.2, 0.2), (9.9, 0.5)]
    line = words.sparkline(points, 10, 10)
    assert len(line) == 10
    assert line[0] == "▁"
    assert line[1] == "█"
    assert line[2:9] == " " * 7
    assert line[9] == "▅"


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=30),
    st.floats(0, 100),
    st.integers(1, 60),
)
def test_a_line_has_its_width_whatever_the_points(points, duration, width) -> None:
    assert len(words.sparkline(points, duration, width)) == width


def test_where_names_the_face_and_its_seconds() -> None:
    parts = [
        {"track": 1, "start_s": 70 + 20 * n, "end_s": 86 + 20 * n, "score": 0.7} for n in range(5)
    ]
    document = {"segments": parts, "track": 1}
    assert words.where(document) == "face 2, 1:10-1:26, 1:30-1:46, 1:50-2:06 and 2 more"
    assert words.where({"segments": [], "track": None}) == ""


def test_where_the_highest_face_has_no_run_the_strongest_run_is_named() -> None:
    parts = [
        {"track": 1, "start_s": 0, "end_s": 9, "score": 0.4},
        {"track": 3, "start_s": 20, "end_s": 29, "score": 0.6},
    ]
    assert words.where({"segments": parts, "track": 7}) == "face 4, 0:20-0:29"


def test_no_word_of_ours_promises_that_a_video_is_genuine() -> None:
    said = " ".join((*words.OUTCOMES.values(), *words.REASONS.values(), *words.MEANINGS.values()))
    assert not {"authentic", "genuine", "real", "original"} & set(said.lower().split())
