import numpy as np
import pytest

from fimq.errors import PairsMissing
from fimq_training.fitting.pair_inputs import Mixture, Pool
from fimq_training.manipulations import clips, pairs
from fimq_training.manipulations import samples as sample_room
from fimq_training.manipulations.clips import ClipMaker, load_clips, save_clips
from fimq_training.manipulations.pairs import LEAST_SEEN, Drawing, PairMaker, write_shard
from fimq_training.manipulations.samples import SampleSet
from fimq_worker.vision import crops
from fimq_worker.vision.crops import CropRule


def test_training_cuts_with_the_crop_function_that_serving_uses():
    for room in (pairs, clips, sample_room):
        assert room.crop_face is crops.crop_face


def test_a_seed_decides_every_pair(samples):
    first, second = (PairMaker(samples, 11) for _ in range(2))
    for _ in range(4):
        one, two = first.pair(), second.pair()
        assert one.name == two.name
        assert np.array_equal(one.real, two.real)
        assert np.array_equal(one.fake, two.fake)


def test_a_pair_shows_its_forgery(samples):
    maker = PairMaker(samples, 12)
    for _ in range(8):
        pair = maker.pair()
        inside = np.kron(pair.mask, np.ones((8, 8))) > 60
        change = np.abs(pair.fake.astype(int) - pair.real)[inside].mean()
        assert pair.real.shape == pair.fake.shape == (128, 128, 3)
        assert change > LEAST_SEEN / 2


def test_a_partner_is_always_someone_else(samples):
    maker = PairMaker(samples, 13)
    for number in range(len(samples)):
        partner = maker.partner(number, "swap")
        assert partner is None or partner.person != samples[number].person


def test_samples_come_back_as_they_were_saved(samples, tmp_path):
    samples.save(tmp_path / "samples.npz")
    again = SampleSet.load(tmp_path / "samples.npz")
    assert again.people == samples.people
    assert np.array_equal(again[5].pixels, samples[5].pixels)
    assert np.array_equal(again[5].points, samples[5].points)
    assert again[5].box == samples[5].box


def test_the_frames_of_a_forged_clip_share_kind_and_plan(samples, tmp_path):
    made = list(ClipMaker(samples, 14).pairs(1))
    assert {pair.fake.person for pair in made} <= set(samples.people)
    for pair in made:
        assert pair.real.crops.shape == pair.fake.crops.shape
        assert pair.real.name == "degraded"
    save_clips([pair.fake for pair in made], tmp_path / "clips.npz")
    again = load_clips(tmp_path / "clips.npz")
    assert [clip.name for clip in again] == [pair.fake.name for pair in made]
    assert np.array_equal(again[-1].crops, made[-1].fake.crops)


class TestPools:
    def test_shards_are_made_in_any_order_and_once(self, samples, tmp_path):
        for first in (4, 0):
            write_shard(samples, tmp_path / "a", seed=15, first=first, count=4)
        write_shard(samples, tmp_path / "b", seed=15, first=4, count=4)
        assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
            "000000.npz",
            "000004.npz",
        ]
        one, other = (np.load(tmp_path / name / "000004.npz") for name in "ab")
        with one, other:
            assert all(np.array_equal(one[name], other[name]) for name in one.files)
        written = (tmp_path / "a" / "000000.npz").stat().st_mtime_ns
        write_shard(samples, tmp_path / "a", seed=15, first=0, count=4)
        assert (tmp_path / "a" / "000000.npz").stat().st_mtime_ns == written

    def test_a_batch_has_reals_and_then_their_fakes(self, samples, tmp_path):
        write_shard(samples, tmp_path, seed=15, first=0, count=4)
        batch = Mixture([(Pool(tmp_path), 1.0)], pairs=4, seed=1).batch(0)
        assert batch.images.shape == (8, 128, 128, 3)
        assert batch.labels.tolist() == [0] * 4 + [1] * 4
        assert batch.masks[:4].max() == 0 < batch.masks[4:].max()

    def test_every_pair_is_drawn_before_any_is_drawn_again(self, tmp_path):
        _numbered_shard(tmp_path / "000000.npz", range(8))
        mixture = Mixture([(Pool(tmp_path), 1.0)], pairs=3, seed=1)
        drawn = [
            int(image) for batch in mixture.batches(0, 16) for image in batch.images[:3, 0, 0, 0]
        ]
        for start in range(0, 48, 8):
            assert sorted(drawn[start : start + 8]) == list(range(8))
        assert drawn[:8] != drawn[8:16]
        assert mixture.rounds(16) == [6]

    def test_a_step_gives_the_same_batch_whenever_it_is_asked(self, tmp_path):
        _numbered_shard(tmp_path / "a" / "000000.npz", range(5))
        _numbered_shard(tmp_path / "b" / "000000.npz", range(100, 107))
        pools = [(Pool(tmp_path / name), share) for name, share in (("a", 0.85), ("b", 0.15))]
        mixture = Mixture(pools, pairs=4, seed=1)
        walked = list(mixture.batches(0, 30))
        again = list(Mixture(pools, pairs=4, seed=1).batches(17, 30))
        for one, other in zip(walked[17:], again, strict=True):
            assert np.array_equal(one.images, other.images)
        of_b = sum(int((batch.images[:4, 0, 0, 0] >= 100).sum()) for batch in walked)
        assert of_b == int(0.15 * 120)
        assert all(len(batch.labels) == 8 for batch in walked)

    def test_rows_are_counted_through_shards_of_any_length(self, tmp_path):
        for name, numbers in (
            ("000000", range(3)),
            ("000003", range(3, 4)),
            ("000004", range(4, 9)),
        ):
            _numbered_shard(tmp_path / f"{name}.npz", numbers)
        pool = Pool(tmp_path)
        assert len(pool) == 9
        for rows in ([0, 2, 3, 4, 8], [8, 0, 3, 3]):
            real, fake, mask = pool.take(np.array(rows))
            assert real[:, 0, 0, 0].tolist() == fake[:, 0, 0, 0].tolist() == rows
            assert len(mask) == len(rows)

    def test_a_folder_without_pairs_is_named(self, tmp_path):
        with pytest.raises(PairsMissing):
            Pool(tmp_path)


def _numbered_shard(path, numbers):
    path.parent.mkdir(exist_ok=True)
    images = np.stack([np.full((128, 128, 3), number, np.uint8) for number in numbers])
    np.savez(path, real=images, fake=images, mask=np.zeros((len(images), 16, 16), np.uint8))


@pytest.mark.parametrize("rule", [CropRule(1.3, 160), CropRule(1.7, 96)], ids=str)
def test_pairs_and_clips_are_cut_as_serving_will_cut(samples, rule, tmp_path):
    pair = PairMaker(samples, 3, Drawing(crop=rule)).pair()
    assert pair.real.shape == pair.fake.shape == (rule.size, rule.size, 3)
    assert pair.mask.shape == (rule.size // 8, rule.size // 8)
    (clip, *_) = ClipMaker(samples, 3, rule).pairs(1)
    assert clip.fake.crops.shape[1:] == (rule.size, rule.size, 3)


def test_a_wider_crop_shows_the_forgery_smaller(samples):
    shares = [
        np.mean(
            [
                PairMaker(samples, (3, n), Drawing(crop=CropRule(scale, 128))).pair().mask > 25
                for n in range(8)
            ]
        )
        for scale in (1.3, 2.0)
    ]
    assert shares[1] < 0.8 * shares[0]
