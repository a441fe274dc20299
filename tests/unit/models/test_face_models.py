import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fimq.errors import FaceModelsInvalid, FaceModelsMissing, FetchFailed
from fimq.models import face_models
from fimq.models.face_models import FACE_MODELS, FaceModel, fetch, load, path, verify


def small(model: FaceModel) -> FaceModel:
    content = model.name.encode()
    return FaceModel(
        model.name, model.wheel_path, len(content), hashlib.sha256(content).hexdigest()
    )


SMALL = tuple(small(model) for model in FACE_MODELS)


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    """The pinned list, with files of a few bytes that tests can make."""
    monkeypatch.setattr(face_models, "FACE_MODELS", SMALL)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    file = tmp_path / "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mediapipe/__init__.py", "raise SystemExit")
        for model in SMALL:
            archive.writestr(model.wheel_path, model.name)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "face-models"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args: object, **_options: object) -> None:
        pytest.fail("pip was called")

    monkeypatch.setattr(subprocess, "run", refuse)


def test_the_list_is_the_one_of_the_documentation():
    assert {model.name: model.size for model in FACE_MODELS} == {
        "full_range_sparse": 676746,
        "short_range": 229714,
        "face_landmark": 1242398,
    }


class TestFetchFromAWheel:
    def test_brings_every_model(self, folder, wheel):
        assert fetch(folder, wheel) == list(SMALL)
        assert load(folder, "short_range") == b"short_range"
        assert path(folder, "face_landmark").read_bytes() == b"face_landmark"

    def test_leaves_nothing_unfinished(self, folder, wheel):
        fetch(folder, wheel)
        assert sorted(file.name for file in folder.iterdir()) == sorted(m.file_name for m in SMALL)

    def test_what_is_there_is_not_fetched_again(self, folder, wheel, request):
        fetch(folder, wheel)
        request.getfixturevalue("no_network")
        assert fetch(folder) == []

    def test_force_writes_again(self, folder, wheel):
        fetch(folder, wheel)
        assert fetch(folder, wheel, force=True) == list(SMALL)

    def test_a_damaged_file_is_replaced(self, folder, wheel):
        fetch(folder, wheel)
        (folder / SMALL[1].file_name).write_bytes(b"short")
        assert fetch(folder, wheel) == [SMALL[1]]

    def test_a_wheel_with_another_file_is_refused_as_a_whole(self, folder, tmp_path):
        other = tmp_path / "other.whl"
        with zipfile.ZipFile(other, "w") as archive:
            for model in SMALL:
                archive.writestr(model.wheel_path, model.name.upper())
        with pytest.raises(FaceModelsInvalid):
            fetch(folder, other)
        assert not folder.exists()

    def test_a_wheel_without_the_files_is_refused(self, folder, tmp_path):
        empty = tmp_path / "empty.whl"
        zipfile.ZipFile(empty, "w").close()
        with pytest.raises(FaceModelsInvalid, match="holds no"):
            fetch(folder, empty)

    @pytest.mark.parametrize("content", [None, b"not a zip"])
    def test_what_is_no_wheel_is_said(self, folder, tmp_path, content):
        file = tmp_path / "some.whl"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(FetchFailed, match="cannot be read"):
            fetch(folder, file)


class TestFetchFromAFile:
    def test_a_model_is_known_by_its_content(self, folder, tmp_path):
        file = tmp_path / "renamed.tflite"
        file.write_bytes(b"short_range")
        assert fetch(folder, file) == [SMALL[1]]
        assert load(folder, "short_range") == b"short_range"

    def test_another_file_is_refused(self, folder, tmp_path):
        file = tmp_path / "face_landmark.tflite"
        file.write_bytes(b"something else")
        with pytest.raises(FaceModelsInvalid):
            fetch(folder, file)


class TestFetchWithPip:
    def test_pip_downloads_without_installing(self, folder, wheel, monkeypatch):
        seen = []

        def download(command, **_options):
            seen.extend(command)
            target = Path(command[command.index("--dest") + 1])
            (target / wheel.name).write_bytes(wheel.read_bytes())
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", download)
        assert fetch(folder) == list(SMALL)
        assert seen[:4] == [sys.executable, "-m", "pip", "download"]
        assert "mediapipe==0.10.21" in seen

    def test_pips_reason_is_told(self, folder, monkeypatch):
        failed = subprocess.CompletedProcess([], 1, "", "WARNING: x\nERROR: No matching version\n")
        monkeypatch.setattr(subprocess, "run", lambda *_a, **_k: failed)
        with pytest.raises(FetchFailed, match="No matching version"):
            fetch(folder)

    def test_a_python_without_pip_is_told(self, folder, monkeypatch):
        monkeypatch.setattr(face_models.importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(FetchFailed, match="no pip"):
            fetch(folder)


class TestLoad:
    def test_a_missing_file_says_how_to_get_it(self, folder):
        with pytest.raises(FaceModelsMissing) as caught:
            load(folder, "short_range")
        assert "fimq models fetch" in caught.value.hint

    def test_a_changed_file_is_never_loaded(self, folder, wheel):
        fetch(folder, wheel)
        (folder / SMALL[0].file_name).write_bytes(b"full_range_sparsE")
        with pytest.raises(FaceModelsInvalid):
            path(folder, "full_range_sparse")


class TestVerify:
    def test_all_files_that_are_right_pass(self, folder, wheel):
        fetch(folder, wheel)
        verify(folder)

    def test_one_that_is_missing_is_told(self, folder, wheel):
        fetch(folder, wheel)
        (folder / SMALL[2].file_name).unlink()
        with pytest.raises(FaceModelsMissing):
            verify(folder)
