"""Promotions: what a name means after them, and after they were taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fimq.errors import (
    ModelDamaged,
    ModelMissing,
    NothingToRollBack,
    UsageError,
)
from fimq.ledger import submission
from fimq.ledger.submission import Request
from fimq.ledger.tables import Promotion
from fimq.models import installed
from fimq.models.changes import Changes
from registered import ONE, THREE, TWO, damage, means, together, unproved
from scenes import all_of, content


class TestPromotion:
    def test_back_goes_one_further_each_time_and_ends(self, registry, three) -> None:
        for label in (ONE, TWO, THREE):
            three.promote(label, "default", unproved)
        for label in (TWO, ONE):
            three.roll_back("default")
            assert means(registry) == label
        three.roll_back("default")
        assert registry.find("default", "default").place == installed.BUILT_IN
        with pytest.raises(NothingToRollBack):
            three.roll_back("default")

    def test_a_promotion_after_a_rollback_is_rolled_back_to_where_that_led(
        self, registry, three
    ) -> None:
        three.promote(ONE, "default", unproved)
        three.promote(TWO, "default", unproved)
        three.roll_back("default")
        three.promote(THREE, "default", unproved)
        three.roll_back("default")
        assert means(registry) == ONE

    def test_it_goes_past_the_wheels_model_and_back(self, registry, three) -> None:
        three.promote(ONE, "default", unproved)
        three.roll_back("default")
        three.promote(TWO, "default", unproved)
        three.roll_back("default")
        assert registry.find("default", "default").place == installed.BUILT_IN
        with pytest.raises(NothingToRollBack):
            three.roll_back("default")

    def test_what_was_never_promoted_cannot_be_rolled_back(self, three) -> None:
        with pytest.raises(NothingToRollBack):
            three.roll_back("default")

    def test_a_name_that_meant_nothing_before_is_not_taken_from_jobs_that_wait(
        self, registry, three
    ) -> None:
        three.promote(ONE, "trial", unproved)
        three.promote(TWO, "trial", unproved)
        three.roll_back("trial")
        with pytest.raises(NothingToRollBack):
            three.roll_back("trial")
        assert means(registry, "trial") == ONE

    def test_the_history_is_only_added_to(self, ledger, three) -> None:
        three.promote(ONE, "default", unproved)
        three.promote(TWO, "default", unproved)
        three.roll_back("default")
        told = three.history("default")
        assert [(row.ordinal, row.kind, row.model, row.before) for row in told] == [
            (3, "rollback", ONE, TWO),
            (2, "promote", TWO, ONE),
            (1, "promote", ONE, None),
        ]
        assert {row.promoted_by for row in told} == {"a test"}
        assert len(all_of(ledger, Promotion)) == 3

    def test_the_same_again_changes_nothing(self, ledger, three) -> None:
        assert three.promote(ONE, "default", unproved)[1]
        assert not three.promote(ONE, "default", unproved)[1]
        assert len(all_of(ledger, Promotion)) == 1

    def test_names_are_promoted_each_for_itself(self, registry, three) -> None:
        three.promote(ONE, "default", unproved)
        three.promote(TWO, "trial", unproved)
        assert (means(registry), means(registry, "trial")) == (ONE, TWO)
        three.promote("trial", "default", unproved)
        assert means(registry) == TWO

    @pytest.mark.parametrize("alias", ["", "a b", "../x", "a@1", "x" * 65])
    def test_what_is_no_name_is_refused(self, three, alias) -> None:
        with pytest.raises(UsageError):
            three.promote(ONE, alias, unproved)

    def test_only_what_was_imported_is_promoted(self, three) -> None:
        with pytest.raises(ModelMissing):
            three.promote("tiny-binary@4", "default", unproved)

    def test_nothing_damaged_is_promoted_or_rolled_back_to(self, registry, three, tmp_path) -> None:
        three.promote(ONE, "default", unproved)
        three.promote(TWO, "default", unproved)
        for label in (ONE, THREE):
            damage(tmp_path, registry.find("default", label).place)
        with pytest.raises(ModelDamaged):
            three.promote(THREE, "default", unproved)
        with pytest.raises(ModelDamaged):
            three.roll_back("default")
        assert means(registry) == TWO

    def test_many_at_once_make_one_history(self, ledger, three, store, registry) -> None:
        def promote(label: str) -> Callable[[], object]:
            own = Changes(ledger, store, registry, tenant="default", by="a thread")
            return lambda: own.promote(label, "default", unproved)

        together([promote(label) for label in (ONE, TWO, THREE) * 3])
        told = three.history("default")[::-1]
        assert [row.ordinal for row in told] == list(range(1, len(told) + 1))
        assert all(row.model != row.before for row in told)
        while len(three.history("default")) < 2 * len(told):
            three.roll_back("default")
        assert registry.find("default", "default").place == installed.BUILT_IN


class TestSubmission:
    def test_a_promotion_amid_submissions_changes_no_request(self, ledger, registry, three) -> None:
        """Each of 16 keys gives one job, before and after; none is refused as another request."""
        three.promote(ONE, "default", unproved)
        jobs: list[tuple[int, str]] = []

        def submit(number: int) -> Callable[[], object]:
            def call() -> None:
                made = submission.submit(
                    ledger, content(number), Request(), idempotency_key=f"key {number}"
                )
                jobs.append((number, made.job_id))

            return call

        def promote() -> None:
            three.promote(TWO, "default", unproved)

        together([*map(submit, range(16)), promote, *map(submit, range(16))])
        assert len(jobs) == 32
        assert len(set(jobs)) == 16
        assert means(registry) == TWO
