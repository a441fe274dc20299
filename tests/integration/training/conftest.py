"""TensorFlow, or the reason why these tests are skipped."""

import os

import numpy as np
import pytest

import awkward
import miniature
from extras import need
from fimq_training.manipulations.landmarks import Pixels

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def weights():
    """Random weights of the network at a scale at which signals pass."""
    need("tensorflow", extra="training")
    from fimq_training.networks import folded

    rng = np.random.default_rng(0)

    def drawn(name, shape):
        if name.endswith("_b"):
            return rng.normal(0, 0.05, shape).astype(np.float32)
        fan_in = shape[0] * shape[1] * (1 if "dw_w" in name else shape[2])
        return rng.normal(0, (1.5 / fan_in) ** 0.5, shape).astype(np.float32)

    return {name: drawn(name, shape) for name, shape in folded.shapes().items()}


@pytest.fixture(scope="session")
def crops() -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (4, 128, 128, 3)).astype(np.uint8)


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """80 crops, half of them fakes that can be told apart."""
    need("tensorflow", extra="training")
    import crop_folder

    return crop_folder.make(tmp_path_factory.mktemp("crops") / "made")


@pytest.fixture
def face_models_here(face_models, monkeypatch):
    monkeypatch.setenv("FIMQ_FACE_MODELS_DIR", str(face_models))


@pytest.fixture
def films(tmp_path):
    """A folder of two classes: twelve films, each its own file."""
    root = tmp_path / "films"
    paths = [f"{kind}/{number}.mp4" for kind in ("real", "swapped") for number in range(6)]
    miniature.put(root, paths, awkward.film_bytes())
    return root


@pytest.fixture
def film(tmp_path):
    """A folder of one class with one film."""
    root = tmp_path / "film"
    miniature.put(root, ["real/0.mp4"], awkward.film_bytes())
    return root
