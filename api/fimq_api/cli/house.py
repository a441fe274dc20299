"""The house: ledger, store and doorbell as a command needs them, opened from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fimq import logs
from fimq.embedded.stack import Stack
from fimq.ledger import presence
from fimq.ledger.database import Ledger
from fimq.ledger.presence import WorkerState
from fimq.ledger.tables import SCHEMA
from fimq.settings import Settings, load_settings
from fimq.store.base import Store, open_store

if TYPE_CHECKING:
    from fimq.models.registry import Registry


@dataclass(frozen=True, slots=True)
class House:
    """What commands work with."""

    settings: Settings
    ledger: Ledger
    store: Store
    stack: Stack

    def registry(self, *, cached: bool = True) -> Registry:
        """The models that can judge, as this machine finds them.

        Past the cache of the store, it tells what is damaged there and not here.
        """
        # NumPy takes a tenth of a second to import; few commands look at models.
        from fimq.models.registry import Registry  # noqa: PLC0415 - NumPy is slow

        past = self.settings.store_options | {"cache_dir": None}
        store = self.store if cached else open_store(self.settings.store, **past)
        return Registry(self.ledger, store, self.settings.installed_models)

    def ring(self, steps: list[tuple[str, str]]) -> None:
        """Start what is missing and tell workers of steps that were committed before.

        Raises:
            ServiceError: nobody could be told. Nothing is lost: the sweep rings again.
        """
        # Celery takes a quarter of a second to import; reading commands never need it.
        from fimq.doorbell import CeleryDoorbell, make_app  # noqa: PLC0415

        if self.settings.embedded_queue:
            self.stack.ensure()
        doorbell = CeleryDoorbell(make_app(self.settings))
        for step_id, lane in steps:
            doorbell.ring(step_id, lane)

    def nobody_works(self) -> str | None:
        """What to start when no worker is alive, else None."""
        if self.settings.embedded_queue:
            return None
        alive = presence.alive(self.ledger, within=2 * self.settings.lease_seconds)
        if any(worker.state is not WorkerState.DRAINING for worker in alive):
            return None
        return "No worker is alive; start one: fimq worker"

    def check_worker(self) -> None:
        """Start the private worker and queue again if one died while jobs wait for them.

        Raises:
            ServiceError: what died could not be started.
        """
        if not self.settings.embedded_queue:
            return
        state = self.stack.state()
        if state.worker_pid is None or not state.queue:
            self.stack.ensure()


@contextmanager
def open_house(**overrides: object) -> Iterator[House]:
    """Open the ledger and store. The embedded ledger is made and migrated when needed.

    Raises:
        SettingsInvalid, StoreUnknown: a setting cannot be used.
        LedgerUnreachable, LedgerDamaged, LedgerOutdated, LedgerNewer: why not the ledger.
    """
    settings = load_settings(**overrides)
    # Commands print what they do; `info` is for the worker.
    level = "warning" if settings.log_level == "info" else settings.log_level
    logs.configure(level, settings.log_format)
    ledger = Ledger(settings.ledger)
    try:
        if settings.embedded_ledger and ledger.known_schema() != SCHEMA:
            # Alembic takes a third of a second to import; it is needed once.
            from fimq_migrations.schema import upgrade  # noqa: PLC0415

            upgrade(ledger)
        ledger.check_schema()
        yield House(
            settings, ledger, open_store(settings.store, **settings.store_options), Stack(settings)
        )
    finally:
        ledger.close()
