"""The classifiers of a worker: several versions at once, none of them for longer than needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from fimq.errors import ModelInvalid
from fimq.models.package import ModelPackage
from fimq.settings import Settings
from fimq_worker.classifier import Classifiers
from fimq_worker.measures import Measures
from tinymodel import SIZE, expected, weights, write_package

CROPS = np.full((3, SIZE, SIZE, 3), 77, np.uint8)


@pytest.fixture
def classifiers(settings: Settings) -> Iterator[Classifiers]:
    made = Classifiers(settings.model_copy(update={"runtime": "onnxruntime"}), Measures())
    yield made
    made.close()


@pytest.fixture
def versions(tmp_path: Path) -> list[ModelPackage]:
    return [
        ModelPackage.open(
            write_package(tmp_path / str(n), version=str(n), matrix=weights(2) * (n + 1))
        )
        for n in range(4)
    ]


def giving(package: ModelPackage, told: list[str] | None = None) -> Callable[[], ModelPackage]:
    def find() -> ModelPackage:
        if told is not None:
            told.append(package.manifest.version)
        return package

    return find


def loaded(classifiers: Classifiers) -> list[str]:
    return [facts["model"].partition("@")[2] for facts in classifiers.facts().values()]


def test_each_version_scores_by_itself_though_all_are_in_use(classifiers, versions) -> None:
    with ExitStack() as uses:
        used = [uses.enter_context(classifiers.use(v.sha256, giving(v))) for v in versions]
        for number, classifier in enumerate(used):
            scores = [row for _, row in classifier.score(CROPS)]
            wanted = expected(CROPS, weights(2) * (number + 1))
            assert np.allclose(scores, wanted, atol=2e-3)
        assert loaded(classifiers) == ["0", "1", "2", "3"]


def test_what_nobody_uses_ends_when_others_were_used_since(classifiers, versions) -> None:
    first = versions[0]
    with classifiers.use(first.sha256, giving(first)) as held:
        for other in versions[1:]:
            with classifiers.use(other.sha256, giving(other)):
                pass
        # In use, however long ago it was asked for.
        assert loaded(classifiers) == ["0", "2", "3"]
        assert held.score(CROPS)
    assert loaded(classifiers) == ["2", "3"]
    with pytest.raises(RuntimeError, match="closed"):
        held.score(CROPS)


def test_it_is_loaded_once_for_all_slots(classifiers, versions) -> None:
    told: list[str] = []
    barrier = threading.Barrier(6)

    def use() -> None:
        barrier.wait()
        with classifiers.use(versions[0].sha256, giving(versions[0], told)) as classifier:
            classifier.score(CROPS)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == ["0"]


def test_one_that_takes_long_to_load_holds_up_no_other(classifiers, versions) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> ModelPackage:
        begun.set()
        assert go_on.wait(20)
        return versions[0]

    def use_slow() -> None:
        with classifiers.use(versions[0].sha256, slowly):
            pass

    slow = threading.Thread(target=use_slow)
    slow.start()
    assert begun.wait(20)
    with classifiers.use(versions[1].sha256, giving(versions[1])) as other:
        assert other.score(CROPS)
    assert loaded(classifiers) == ["1"]
    go_on.set()
    slow.join()
    assert set(loaded(classifiers)) == {"0", "1"}


def test_one_that_cannot_be_loaded_leaves_nothing_and_is_tried_again(
    classifiers, versions, tmp_path
) -> None:
    wrong = ModelPackage.open(write_package(tmp_path / "wrong", content=b"no network"))
    for _ in range(2):
        with pytest.raises(ModelInvalid), classifiers.use(wrong.sha256, giving(wrong)):
            pass
    assert classifiers._entries == {}
