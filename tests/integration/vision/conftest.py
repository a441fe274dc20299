import os
from pathlib import Path

import platformdirs
import pytest

from fimq.models.face_models import FACE_MODELS, is_present


@pytest.fixture(scope="session")
def face_models() -> Path:
    """The folder of fetched face models; the test is skipped where they were not fetched."""
    named = os.environ.get("FIMQ_FACE_MODELS")
    folder = Path(named) if named else platformdirs.user_data_path("fimq") / "face-models"
    if not all(is_present(folder, model) for model in FACE_MODELS):
        pytest.skip("needs the face models: fimq models fetch")
    return folder
