"""Errors: each has one code, a message, and a hint or nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import fimq_worker.vision.sampler.base
from fimq import store
from fimq.document import error_document, schema
from fimq.embedded import stack, valkey
from fimq.errors import AnalysisError, FimqError, InputError, Truncated

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
_LOADED = (stack, valkey, store, fimq_worker.vision.sampler.base)
CODES = dict(FimqError.registry)


@pytest.mark.parametrize("code", CODES)
def test_it_says_what_went_wrong_in_one_line(code) -> None:
    error = CODES[code]()
    assert error.message
    assert "\n" not in error.message
    assert not error.message.endswith(".")
    assert error.exit_status in {1, 2, 3, 4, 5}


def test_each_code_is_of_one_class() -> None:
    def below(cls: type[FimqError]) -> list[type[FimqError]]:
        return [cls, *(deeper for sub in cls.__subclasses__() for deeper in below(sub))]

    classes = below(FimqError)
    assert len({cls.code for cls in classes}) == len(set(classes))


def test_what_the_input_is_at_fault_for_exits_with_2_and_the_rest_does_not() -> None:
    assert {CODES[code].exit_status for code in CODES if issubclass(CODES[code], InputError)} == {2}
    assert {
        CODES[code].exit_status for code in CODES if issubclass(CODES[code], AnalysisError)
    } == {3}


@pytest.mark.parametrize("code", CODES)
def test_it_is_in_the_reference(code) -> None:
    assert f"`{code}`" in REFERENCE.read_text(encoding="utf-8")


def test_a_refusal_has_its_document() -> None:
    import jsonschema

    document = error_document(Truncated(), "broken.mp4")
    jsonschema.validate(document, schema("refusal"))
    assert document["error"]["code"] == "truncated"
