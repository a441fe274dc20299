"""A service that is away or not as it must be; what met it is tried again."""

from __future__ import annotations

from fimq.errors.base import FimqError


class ServiceError(FimqError):
    """A service that fimq needs is missing."""

    code = "service_missing"
    exit_status = 5
    http_status = 503
    final = False


class StoreUnusable(ServiceError):
    """The store of the videos cannot be used."""

    code = "store_unusable"
    hint = "Check FIMQ_STORE_URL and its rights. See: fimq doctor"


class CacheUnusable(ServiceError):
    """The folder of copies from the store cannot be used."""

    code = "cache_unusable"
    hint = "Free space there, lower FIMQ_CACHE_BYTES, or set FIMQ_CACHE_DIR."


class ScratchUnusable(ServiceError):
    """The worker's folder of temporary files cannot be used."""

    code = "scratch_unusable"
    hint = "Free space there, or set TMPDIR for the worker."


class WorkersDiffer(ServiceError):
    """A worker would cut other crops: it has other settings for faces."""

    code = "workers_differ"
    hint = "Give all workers, and who asks, one FIMQ_MIN_FACE, FIMQ_MAX_FACES, FIMQ_FACE_FINDER."


class BrokerUnreachable(ServiceError):
    """The queue cannot be reached."""

    code = "broker_unreachable"
    hint = "Nothing was lost: jobs are kept and will be offered again. See: fimq doctor"


class LedgerUnreachable(ServiceError):
    """The database cannot be reached."""

    code = "ledger_unreachable"
    hint = "Check FIMQ_LEDGER_URL, and that its server runs. See: fimq doctor"


class LedgerDriverMissing(LedgerUnreachable):
    """The ledger is on PostgreSQL, and its driver psycopg is not installed."""

    code = "ledger_driver_missing"
    hint = "Run: pip install 'fimq[postgres]'"


class LedgerOutdated(ServiceError):
    """The database has another schema than this version of fimq."""

    code = "ledger_outdated"
    hint = "Run: fimq db upgrade"


class LedgerNewer(ServiceError):
    """The database was made by a newer fimq than this one."""

    code = "ledger_newer"
    hint = "Install that version of fimq."


class LedgerDamaged(ServiceError):
    """The database file is damaged, or is no database."""

    code = "ledger_damaged"
    hint = "Bring back a copy of it; or move it away, and fimq begins with an empty one."


class MachineUnfit(ServiceError):
    """This machine lacks what judging takes; another one may have it."""

    code = "machine_unfit"
    hint = "See: fimq doctor"


class GpuFailed(ServiceError):
    """The GPU failed while it scored."""

    code = "gpu_failed"
    hint = "The step is run again. If it goes on: fewer workers on this card."


class GpuLost(GpuFailed):
    """The GPU was lost: this worker ends, so that whoever started it starts it again."""

    code = "gpu_lost"
    hint = "Look for Xid lines in the kernel's log. See: fimq doctor"
