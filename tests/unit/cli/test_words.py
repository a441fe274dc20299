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


def document(track: int | None, segments: list[dict[str, float]], faces: int = 9) -> dict:
    return {
        "outcome": "uncertain",
        "reason": "between_thresholds",
        "score": 0.6,
        "model": {"thresholds": {"high_recall": 0.3, "high_precision": 0.9}},
        "track": track,
        "segments": segments,
        "tracks": [{"track": 7, "start_s": 401, "end_s": 409, "faces": faces, "score": 0.6}],
    }


def test_where_names_the_most_suspect_face_and_its_seconds() -> None:
    parts = [
        {"track": 1, "start_s": 70 + 20 * n, "end_s": 86 + 20 * n, "score": 0.7} for n in range(5)
    ]
    assert words.where(document(1, parts)) == "face 2, 1:10-1:26, 1:30-1:46, 1:50-2:06 and 2 more"
    assert words.where(document(None, [])) == ""


def test_where_the_most_suspect_face_has_no_run_it_is_named_all_the_same() -> None:
    parts = [{"track": 1, "start_s": 0, "end_s": 9, "score": 0.7}]
    assert words.where(document(7, parts)) == "face 8, 6:41-6:49"
    assert words.where(document(7, parts, faces=1)) == "face 8, 6:41, in one picture only"


def test_a_score_under_both_thresholds_names_nobody() -> None:
    low = document(7, []) | {"score": 0.2, "reason": "too_few_faces"}
    assert words.suspect(low) == ""
    assert "never accused" in words.meaning(low)
    assert "too much to clear" not in words.meaning(low)
    assert words.suspect(document(7, [])) != ""


def test_a_long_name_is_cut_in_its_middle() -> None:
    assert words.middle("a-rather-long-name-1.mp4", 12) == "a-rath…1.mp4"
    assert words.middle("short.mp4", 12) == "short.mp4"


def test_no_word_of_ours_promises_that_a_video_is_genuine() -> None:
    said = " ".join((*words.OUTCOMES.values(), *words.REASONS.values(), *words.MEANINGS.values()))
    assert not {"authentic", "genuine", "real", "original"} & set(said.lower().split())
