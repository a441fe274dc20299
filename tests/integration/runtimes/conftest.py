from collections.abc import Callable

import pytest

from fimq.models.package import ModelPackage
from tinymodel import make_network, write_package

#: Builds a package: kind, then what is added to the golden scores.
Build = Callable[..., ModelPackage]


@pytest.fixture(scope="session")
def build(tmp_path_factory) -> Build:
    def package(
        kind: str = "binary", golden_change: float = 0.0, content: bytes | None = None
    ) -> ModelPackage:
        folder = tmp_path_factory.mktemp(kind)
        write_package(folder, kind, golden_change=golden_change, content=content)
        return ModelPackage.open(folder)

    return package


@pytest.fixture
def network() -> Callable[..., bytes]:
    return make_network


@pytest.fixture(params=["binary", "seven"])
def package(request, build: Build) -> ModelPackage:
    return build(request.param)
