import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from extras import need

need("tensorflow", extra="training")
pytest.importorskip("skimage", reason="the extra `demo` is not installed")

from fimq.models.manifest import Manifest
from fimq_training.calibration.streams import LENGTHS
from fimq_training.evaluation.report import HeldOut, measure
from fimq_training.export.card import SECTIONS, card
from fimq_training.export.golden import golden
from fimq_training.export.onnx import Network
from fimq_training.export.package import Release, manifest
from fimq_training.manipulations.clips import Clip
from fimq_training.manipulations.samples import SERVED

RELEASE = Release(
    created=datetime(2026, 11, 25, tzinfo=UTC),
    steps=10,
    pairs=32,
    recipe="fimq-default",
    name="made",
    version="1.0.0",
)


@pytest.fixture(scope="module")
def facts():
    """The manifest of a model that scores by brightness, measured on clips that it can tell."""
    report = measure(_held_out(), lambda crops: crops.mean((1, 2, 3)) / 255)
    made = manifest(report, RELEASE, ["portraits/canada"], {})
    return {**made, "sha256": "0" * 64}


def worded(facts):
    return " ".join(card({**facts, "sha256": "0" * 64}).split())


def test_a_manifest_is_one_that_a_worker_takes(facts):
    read = Manifest.model_validate_json(json.dumps(facts))
    assert read.label == "made@1.0.0"
    assert read.experimental
    assert [part.manipulated for part in read.classes] == [False, True]


def test_its_calibration_means_the_same_to_training_and_to_serving(facts):
    from fimq_training.calibration.temperature import Calibration

    served = Manifest.model_validate(facts).manipulated_score([0.3, 0.7])
    assert served == pytest.approx(Calibration(**facts["calibration"]).apply(0.7))


def test_the_card_has_the_figures_and_the_licences(facts):
    text = card(facts)
    assert f"{facts['metrics']['held_out']['video_auc']['value']:.3f}" in text
    assert "CC BY 4.0" in text
    assert "experimental" in text


def test_the_card_of_a_model_that_went_on_from_another_says_from_which(facts):
    before = {**facts, "training_data": [{"name": "Older", "source": "s", "licence": "CC0"}]}
    ancestor = Manifest.model_validate({**before, "name": "before", "version": "0.9.0"})
    report = measure(_held_out(), lambda crops: crops.mean((1, 2, 3)) / 255)
    for remade in (True, False):
        release = replace(RELEASE, steps=7, ancestor=ancestor, remade=remade, after="fimq-first")
        release = replace(release, kept=0.5 * remade)
        made = manifest(report, release, ["portraits/canada"], {})
        text = worded(made)
        assert "1.0.0). 10 steps of 32 pairs made before@0.9.0." in text
        assert "Then 7 steps of 32 pairs." in text
        assert ("the average keeps a share of 0.5." in text) is remade
        assert ("1.0.0.tgz --from PACKAGE --out OUT" in text) is not remade
        assert ("PACKAGE is the folder of before@0.9.0. Without it" in text) is not remade
    names = [source["name"] for source in made["training_data"]]
    assert names[-1] == "Older"
    assert len(names) == 2
    assert "made before@" not in card(facts)


def test_the_card_goes_back_to_the_first_of_those_before(facts):
    report = measure(_held_out(), lambda crops: crops.mean((1, 2, 3)) / 255)
    sources = list(facts["training_data"])
    first = Manifest.model_validate({**facts, "metrics": {}, "version": "1.0.0"})
    release = replace(RELEASE, steps=7, version="2.0.0", ancestor=first, data="a", rendered=True)
    second = {**manifest(report, release, ["portraits/canada"], {}), "sha256": "0" * 64}
    assert second["training_data"] == sources
    assert "painted by small networks" in worded(second)
    ancestor = Manifest.model_validate(second)
    release = replace(RELEASE, steps=5, version="3.0.0", ancestor=ancestor, data="a")
    text = worded(manifest(report, release, ["portraits/canada"], {}))
    unknown = "Its package does not name the list of files that this fit has"
    assert "A fit that its package says nothing of made made@1.0.0. " + unknown in text
    assert "7 steps of 32 pairs made made@2.0.0. Then 5 steps" in text
    assert text.count(unknown) == 1
    assert "painted by small networks" in text
    assert "painted by small networks" not in worded(facts)


def test_the_card_says_what_simulated_video_of_every_length_does(facts):
    rates = facts["metrics"]["held_out"]["simulated_alarms"]
    assert list(rates) == list(LENGTHS)
    text = card(facts)
    assert f"60 min {rates['60 min']:.1%}" in text
    assert "24 clips of 6 people, 4 samples of each" in text
    assert "High precision was not raised." in text


def test_the_card_says_how_often_it_calls_people_that_it_was_not_chosen_on(facts):
    unseen = facts["metrics"]["held_out"]["unseen"]
    assert unseen["clips"] == 24
    text = " ".join(card(facts).split())
    assert f"{unseen['called']} of 24 clips as they are were called" in text


def test_the_card_has_a_row_for_each_alteration(facts):
    text = card(facts)
    for what in ("JPEG quality 50", "shrunk to 0.5", "blur sigma, pixels 2"):
        assert f"| {what} | 0." in text or f"| {what} | 1." in text


def test_the_card_shows_what_was_measured_elsewhere_in_tables_of_their_own(facts):
    figure = {"value": 0.75, "low": 0.65, "high": 0.85}
    elsewhere = {
        "faceforensics_c40": {
            "fakes": 40,
            "reals": 20,
            "auc": figure,
            "auc_by_method": {"Deepfakes": 0.9},
            "reals_at_half": "3/20",
            "reals_at_precision": "1/20",
            "fakes_at_precision": "17/40",
        },
        "films": [{"what": "h264-23", "auc": figure, "real": [1, 20, 24], "forged": [30, 10, 5]}],
    }
    text = card({**facts, "metrics": {**facts["metrics"], **elsewhere}})
    assert "| c40 fakes called `manipulated` | 17/40 |\n\nFaceForensics++ was measured only" in text
    assert "| h264-23 | 0.750 [0.65, 0.85] | 1 / 20 / 24 | 30 / 10 / 5 |\n" in text
    assert text.index("c40 fakes") < text.index("altered once more") < text.index("| h264-23 |")
    assert "h264-23" not in card(facts)


def test_high_precision_is_raised_where_simulated_video_passes_it():
    """Clips of which a tenth is bright: a whole one hides it, its strongest window does not."""
    held_out = _held_out()
    real = []
    for clip in held_out.real:
        bright = np.full((8, *clip.crops.shape[1:]), 230, np.uint8)
        real.append(replace(clip, crops=np.concatenate([*[clip.crops] * 20, bright])))
    report = measure(replace(held_out, real=real), lambda crops: crops.mean((1, 2, 3)) / 255)
    assert report.raised_from < report.thresholds.high_precision
    assert max(report.simulated_alarms.values()) <= 0.03
    made = {**manifest(report, RELEASE, ["portraits/canada"], {}), "sha256": "0" * 64}
    assert "High precision was raised for it from 0." in card(made)


def test_the_card_has_the_seven_sections_that_coop_asks_for(facts):
    titles = [line[3:] for line in card(facts).splitlines() if line.startswith("## ")]
    assert tuple(titles) == SECTIONS
    assert len(SECTIONS) == 7


def test_golden_crops_are_the_same_each_time_and_clear_of_a_flip(weights):
    head = {"head_w": np.full((1280, 1), 0.01, np.float32), "head_b": np.ones(1, np.float32)}
    network = Network({**weights, **head})
    made, again = golden(network, SERVED), golden(network, SERVED)
    assert np.array_equal(made.crops, again.crops)
    scores = made.scores
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(1), 1, atol=1e-6)
    assert np.abs(scores[:, 1] - 0.5).min() > 0.01


def _held_out():
    rng = np.random.default_rng(0)

    def clips(name, light, frames):
        return [
            Clip(
                rng.normal(light + 2 * i, 20, (frames, 32, 32, 3)).clip(0, 255).astype(np.uint8),
                person=f"person_{i % 6}",
                source=f"clip_{i}",
                name=name,
            )
            for i in range(24)
        ]

    forged = [
        Clip(clip.crops, clip.person, clip.source, f"{('self', 'swap', 'reenact')[i % 3]}_face")
        for i, clip in enumerate(clips("fake", 130, 4))
    ]
    return HeldOut(
        real=clips("real", 100, 4),
        degraded=clips("degraded", 115, 4),
        fake=forged,
        portraits_real=clips("real", 100, 1),
        portraits_fake=clips("fake", 130, 1),
    )
