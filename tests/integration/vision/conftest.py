import os
from pathlib import Path

import platformdirs
import pytest

NAMES = {
    "full_range_sparse": "face_detection_full_range_sparse.tflite",
    "short_range": "face_detection_short_range.tflite",
    "face_landmark": "face_landmark.tflite",
}


@pytest.fixture(scope="session")
def face_models() -> Path:
    """The folder of fetched face models; the test is skipped where they were not fetched."""
    named = os.environ.get("FIMQ_FACE_MODELS")
    folder = Path(named) if named else platformdirs.user_data_path("fimq") / "face-models"
    if not all((folder / name).is_file() for name in NAMES.values()):
        pytest.skip("needs the face models: fimq models fetch")
    return folder
