import numpy as np
import pytest

from extras import need

tf = need("tensorflow", extra="training")

from fimq.errors import StartWeightsInvalid, StartWeightsMissing
from fimq_training.networks import folded, kernels, unfolded


def test_it_has_the_parameters_of_efficientnet_b0_without_its_batch_norms():
    # Keras counts 4,007,548 without the top; 21,008 of them scale what is folded away here.
    assert sum(int(np.prod(shape)) for shape in folded.shapes().values()) == 4_007_548 - 21_008


def test_it_is_keras_efficientnet_b0_with_the_batch_norms_folded(crops):
    net = tf.keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(128, 128, 3)
    )
    rng = np.random.default_rng(2)
    for layer in net.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.set_weights(
                [rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()]
            )
    unfolded.normalise(net)
    images = crops.astype(np.float32)
    theirs = net(images, training=False).numpy().mean((1, 2))
    mine = folded.features(unfolded.fold(net), tf.constant(images)).numpy()
    assert np.abs(theirs).max() > 1e-3
    assert np.allclose(mine, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())


def test_the_fast_kernels_give_what_the_plain_ones_give():
    rng = np.random.default_rng(3)
    x = tf.Variable(rng.normal(size=(2, 16, 16, 8)).astype(np.float32))
    bias = tf.Variable(rng.normal(size=8).astype(np.float32))
    for stride in (1, 2):
        kernel = tf.Variable(rng.normal(size=(5, 5, 8, 1)).astype(np.float32))
        slopes = []
        for fused in (False, True):
            with tf.GradientTape() as tape:
                y = kernels.bias_silu(x, bias, fused=fused)
                z = tf.reduce_sum(kernels.depthwise(y, kernel, stride, fused=fused) ** 2)
            slopes.append([z, *tape.gradient(z, [x, bias, kernel])])
        for plain, fast in zip(*slopes, strict=True):
            assert np.allclose(plain, fast, rtol=1e-4, atol=1e-3)


class TestUnfolded:
    """Keras's network filled from the folded one."""

    @staticmethod
    def network():
        return tf.keras.applications.EfficientNetB0(
            include_top=False, weights=None, input_shape=(128, 128, 3)
        )

    def test_it_keeps_the_function_and_finds_its_statistics(self, weights, tmp_path):
        net, photos = self.network(), unfolded.photos(128, 24)
        images = tf.constant(photos[:4], tf.float32)
        unfolded.fill(net, weights)
        wanted = np.asarray(folded.features(weights, images))

        def features(of, **kwargs):
            return np.asarray(tf.reduce_mean(of(images, **kwargs), [1, 2]))

        assert np.allclose(features(net), wanted, rtol=1e-3, atol=1e-3)
        unfolded.reestimate(net, photos)
        assert np.allclose(features(net), wanted, rtol=1e-3, atol=1e-3)
        mean, variance = (np.asarray(w) for w in net.get_layer("block3a_bn").weights[2:])
        assert np.abs(mean).max() > 0.01
        assert not np.allclose(variance, 1)

        unfolded.save(net, tmp_path / "start.npz")
        again = self.network()
        unfolded.load(again, tmp_path / "start.npz")
        cosine = (features(again) * wanted).sum(1) / (
            np.linalg.norm(features(again), axis=1) * np.linalg.norm(wanted, axis=1)
        )
        assert cosine.min() > 0.999

    def test_a_file_that_is_not_of_it_is_refused(self, tmp_path):
        path = tmp_path / "start.npz"
        with pytest.raises(StartWeightsMissing):
            unfolded.load(self.network(), path)
        path.write_bytes(b"PK\x03\x04 cut short")
        with pytest.raises(StartWeightsInvalid, match="cannot be read"):
            unfolded.load(self.network(), path)
        np.savez(path, **{"stem_conv/kernel": np.zeros((3, 3, 3, 32), np.float16)})
        with pytest.raises(StartWeightsInvalid, match="do not fit"):
            unfolded.load(self.network(), path)
        np.savez(path, harm=np.array([object()], object))
        with pytest.raises(StartWeightsInvalid):
            unfolded.load(self.network(), path)
