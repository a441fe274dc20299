import numpy as np

from fimq_training.fitting.pools import Mixture
from fimq_training.manipulations import clips, pairs
from fimq_training.manipulations import samples as sample_room
from fimq_training.manipulations.clips import ClipMaker, load_clips, save_clips
from fimq_training.manipulations.pairs import LEAST_SEEN, PairMaker, write_shards
from fimq_training.manipulations.samples import SampleSet
from fimq_worker.vision import crops


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
    def test_shards_appear_whole_and_a_mixture_reads_them(self, samples, tmp_path):
        counts = list(write_shards(PairMaker(samples, 15), tmp_path / "a", pairs=6, shard=4))
        assert counts == [4, 6]
        assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
            "000000.npz",
            "000004.npz",
        ]
        batch = Mixture([(tmp_path / "a", 1.0)], seed=1).batch(4)
        assert batch.images.shape == (8, 128, 128, 3)
        assert batch.labels.tolist() == [0] * 4 + [1] * 4
        assert batch.masks[:4].max() == 0 < batch.masks[4:].max()

    def test_every_pair_is_drawn_before_any_is_drawn_again(self, tmp_path):
        _numbered_shard(tmp_path / "000000.npz", range(8))
        mixture = Mixture([(tmp_path, 1.0)], seed=1)
        drawn = [int(batch.images[0, 0, 0, 0]) for batch in (mixture.batch(1) for _ in range(8))]
        assert sorted(drawn) == list(range(8))
        mixture.batch(1)
        assert mixture.rounds == [1]

    def test_pairs_that_arrive_later_come_before_a_second_round(self, tmp_path):
        _numbered_shard(tmp_path / "000000.npz", range(4))
        mixture = Mixture([(tmp_path, 1.0)], seed=1)
        mixture.batch(4)
        _numbered_shard(tmp_path / "000004.npz", range(4, 8))
        assert sorted(mixture.batch(4).images[:4, 0, 0, 0].tolist()) == [4, 5, 6, 7]
        assert mixture.rounds == [0]


def _numbered_shard(path, numbers):
    images = np.stack([np.full((128, 128, 3), number, np.uint8) for number in numbers])
    np.savez(path, real=images, fake=images, mask=np.zeros((len(images), 16, 16), np.uint8))
