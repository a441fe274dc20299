"""Settings: what an operator may change, where it came from, and what it means.

Read once, at the edge of a command, and passed down as a value. Precedence, highest
first: command-line options, `FIMQ_...` variables, the files of `FIMQ_SECRETS_DIR` (each
named as a variable in lower case, as containers get their secrets), `fimq.toml`, the defaults
here. `fimq.toml` is looked for in `FIMQ_CONFIG`, the current folder, then the user's config
folder; the first one found is read.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from platformdirs import user_cache_path, user_config_path, user_data_path, user_state_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from fimq import addresses
from fimq.errors import UsageError

PREFIX = "FIMQ_"
Lane = Literal["urgent", "standard", "archive", "training"]
#: Lanes in the order in which workers serve them.
LANES: tuple[Lane, ...] = get_args(Lane)
#: Those of videos to be judged; in the last one crops are cut.
JUDGING_LANES = LANES[:-1]
#: What may compute scores; a test holds it to what the worker can load.
RuntimeName = Literal[
    "auto", "tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "openvino", "onnxruntime"
]
_PLACES = (
    "data_dir",
    "state_dir",
    "ledger_url",
    "store_url",
    "cache_dir",
    "face_models_dir",
    "models_dir",
    "engines_dir",
)


class SettingsInvalid(UsageError):
    """A setting has a value that cannot be used."""

    code = "settings_invalid"
    hint = "Correct it, or leave it out: its default is in docs/reference/settings.md"


class Settings(BaseSettings):
    """Every setting of fimq. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        # A traceback would else quote a URL with its password.
        hide_input_in_errors=True,
    )

    # --- where things live; a relative path is one of the folder in which fimq was called
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("fimq"),
        description="Folder of the embedded ledger, the store and the face models.",
    )
    state_dir: Path = Field(
        default_factory=lambda: user_state_path("fimq"),
        description="Folder of the private queue: sockets, locks, logs.",
    )
    ledger_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of the ledger; unset: SQLite in data_dir."
    )
    broker_url: SecretStr | None = Field(
        default=None, description="Redis or Valkey URL; unset: a private Valkey on a socket."
    )
    store_url: str | None = Field(
        default=None,
        description="Where videos are kept (file://... or s3://...); unset: data_dir/store.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: user_cache_path("fimq") / "videos",
        description="Folder of the copies that workers make of videos in an s3:// store.",
    )
    cache_bytes: int = Field(
        default=20 * 2**30, ge=0, description="Size of cache_dir; what is open may exceed it."
    )
    shared_paths: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders, joined by `:`, that every worker mounts at the same place: "
        "--in-place takes files there.",
    )
    face_models_dir: Path | None = Field(
        default=None, description="Folder of the face models; unset: data_dir/face-models."
    )
    models_dir: Path | None = Field(
        default=None, description="Folder of this machine's own models; unset: data_dir/models."
    )
    engines_dir: Path | None = Field(
        default=None,
        description="Folder of the TensorRT engines built here; unset: data_dir/engines.",
    )
    tenant: str = Field(
        default="default", min_length=1, max_length=64, description="Owner written on every row."
    )

    # --- what a job is judged by, where the request does not say
    every: int = Field(default=25, ge=1, description="Sample every Nth frame.")
    min_samples: int = Field(
        default=16, ge=1, description="Halve the stride until a video has so many samples."
    )
    model: str = Field(default="default", description="Model that judges.")
    policy: str = Field(default="standard", description="Policy that turns scores into verdicts.")

    # --- limits
    max_bytes: int = Field(default=8 * 2**30, ge=1, description="Largest file accepted.")
    max_duration: float = Field(default=12 * 3600, gt=0, description="Longest video judged.")
    max_pixels: int = Field(default=8192 * 4608, ge=1, description="Largest picture decoded.")
    max_faces: int = Field(
        default=20, ge=1, le=1000, description="Faces of a sample that are kept, the largest first."
    )
    min_face: int = Field(default=48, ge=16, description="Smallest face scored, in pixels.")
    segment_seconds: float = Field(default=60, gt=0, description="Length of a segment.")
    archive_segment_seconds: float = Field(
        default=15, gt=0, description="Length of a segment in the archive lane."
    )

    # --- patience
    lease_seconds: float = Field(
        default=30, gt=0.2, description="A worker not heard of for so long loses its step."
    )
    sweep_seconds: float = Field(
        default=10, gt=0.05, description="Time between looks for lost work."
    )
    ring_seconds: float = Field(
        default=30, gt=0.05, description="A ready step not rung for so long is rung again."
    )
    max_executions: int = Field(default=3, ge=1, description="Errors before a job fails.")
    max_losses: int = Field(
        default=10, ge=1, description="Lost workers and missing services before a job fails."
    )
    retry_seconds: float = Field(default=5, ge=0, description="Wait before a step is run again.")
    grace_seconds: float = Field(default=20, gt=0, description="Time to stop after SIGTERM.")
    idle_seconds: float = Field(
        default=600, gt=0, description="The private worker and queue stop when idle so long."
    )

    # --- the decode child
    child_memory: int = Field(default=2 * 2**30, ge=2**28, description="Memory of a decode child.")
    child_seconds_a_minute: float = Field(
        default=120,
        gt=0,
        description="Wall clock of a decode child for a minute of video; 60 is the least.",
    )
    child_requests: int = Field(default=200, ge=1, description="Requests of one child.")

    # --- faces
    face_finder: Literal["full-range", "mediapipe"] = Field(
        default="full-range", description="What finds faces: full-range or mediapipe (an extra)."
    )

    # --- the classifier
    runtime: RuntimeName = Field(
        default="auto",
        description="auto (the first that may judge), tensorrt, tensorrt-rtx, onnxruntime-cuda, "
        "openvino or onnxruntime.",
    )
    slots: int = Field(
        default_factory=lambda: max(1, len(os.sched_getaffinity(0))),
        ge=1,
        description="Steps that a worker runs at once.",
    )

    # --- operation
    metrics: str | None = Field(
        default=None,
        description="Serve Prometheus metrics of a worker at HOST:PORT, or at a loopback port; "
        "0 is any free port, unset is none.",
    )

    # --- logs
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe line that is logged."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="text or json.")

    @field_validator(
        "data_dir", "state_dir", "cache_dir", "face_models_dir", "models_dir", "engines_dir"
    )
    @classmethod
    def _whole_path(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("shared_paths", mode="before")
    @classmethod
    def _folders(cls, value: Any) -> Any:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("shared_paths")
    @classmethod
    def _whole_folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        # One that is not whole would mean another folder to every worker.
        for folder in value:
            if not folder.is_absolute():
                raise ValueError(f"{folder} is not an absolute path")
        return value

    @field_validator("store_url")
    @classmethod
    def _whole_store(cls, value: str | None) -> str | None:
        return None if value is None else addresses.store_url(value)

    @field_validator("ledger_url")
    @classmethod
    def _whole_ledger(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(addresses.ledger_url(value.get_secret_value()))

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(addresses.queue_url(value.get_secret_value()))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env files: secrets would be read from any folder
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, secret files, then `fimq.toml` (as defaults)."""
        return init_settings, env_settings, file_secret_settings, _TomlSource(settings_cls)

    @property
    def embedded_queue(self) -> bool:
        """Whether this installation runs a private queue and worker of its own."""
        return self.broker_url is None

    @property
    def embedded_ledger(self) -> bool:
        """Whether the ledger is the SQLite file in `data_dir`."""
        return self.ledger_url is None

    @property
    def ledger(self) -> str:
        """The ledger's URL, with its secrets."""
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'ledger.sqlite3'}"

    @property
    def broker_socket(self) -> Path:
        """The private Valkey's socket."""
        return self.state_dir / "valkey.sock"

    @property
    def broker(self) -> str:
        """The broker's URL, with its secrets."""
        if self.broker_url is not None:
            return self.broker_url.get_secret_value()
        return f"redis+socket://{self.broker_socket}"

    @property
    def store(self) -> str:
        """The store's URL."""
        return self.store_url or f"file://{self.data_dir / 'store'}"

    @property
    def store_options(self) -> dict[str, Any]:
        """How the store is used on this machine: arguments of `open_store`."""
        return {
            "cache_dir": self.cache_dir,
            "cache_bytes": self.cache_bytes,
            # A folder that was named and is not there is a mount that is not there.
            "make": self.store_url is None,
        }

    @property
    def face_models(self) -> Path:
        """Folder of the face models."""
        return self.face_models_dir or self.data_dir / "face-models"

    @property
    def installed_models(self) -> Path:
        """Folder of models of this machine alone, beside the one in the wheel."""
        return self.models_dir or self.data_dir / "models"

    @property
    def engines(self) -> Path:
        """Folder of the engines that were built on this machine."""
        return self.engines_dir or self.data_dir / "engines"

    def places(self) -> dict[str, str]:
        """Where things live, as settings that mean the same in any folder."""
        found: dict[str, str] = {}
        for name in _PLACES:
            value = getattr(self, name)
            if value is not None:
                secret = isinstance(value, SecretStr)
                found[name] = value.get_secret_value() if secret else str(value)
        return found

    def segment_length(self, lane: str) -> float:
        """Seconds of video in one segment of `lane`."""
        return self.archive_segment_seconds if lane == "archive" else self.segment_seconds


class _TomlSource(PydanticBaseSettingsSource):
    """`fimq.toml`: the same names as the variables, lower case, without the prefix."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the signature is pydantic's
        return read_toml().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return read_toml()


def toml_path() -> Path | None:
    """The `fimq.toml` that counts here, or None."""
    if named := os.environ.get(PREFIX + "CONFIG"):
        return Path(named)
    places = (Path("fimq.toml"), user_config_path("fimq") / "fimq.toml")
    return next((place for place in places if place.is_file()), None)


def read_toml() -> dict[str, Any]:
    """The values of `fimq.toml`; names that fimq does not know are refused.

    Raises:
        SettingsInvalid: the file is missing though named, is no TOML, or has unknown names.
    """
    path = toml_path()
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"{path}: {error}") from error
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise SettingsInvalid(f"{path}: unknown setting {', '.join(unknown)}")
    return values


def secrets_dir() -> Path | None:
    """The folder whose files are settings, or None.

    Raises:
        SettingsInvalid: it is named, and not there.
    """
    named = os.environ.get(PREFIX + "SECRETS_DIR")
    if not named:
        return None
    if not Path(named).is_dir():
        raise SettingsInvalid(f"{PREFIX}SECRETS_DIR: there is no folder {named}")
    return Path(named)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings once; `overrides` are command-line options that were given.

    Raises:
        SettingsInvalid: a value cannot be used; the message names it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        # Not an argument that Settings declares, but one that its parent takes.
        return Settings(**(given | {"_secrets_dir": secrets_dir()}))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        says = first["msg"].removeprefix("Value error, ")
        place = PREFIX + name.upper()
        if name not in given and (path := origin(name)) not in {place, "default"}:
            place = f"{path}: {name}"
        raise SettingsInvalid(f"{place}: {says}") from error


def origin(name: str) -> str:
    """Where the value of setting `name` comes from: a variable, a file, or `default`."""
    if os.environ.get(PREFIX + name.upper()):
        return PREFIX + name.upper()
    secret = PREFIX.lower() + name
    if (folder := secrets_dir()) is not None and (folder / secret).is_file():
        return str(folder / secret)
    if name in read_toml():
        return str(toml_path())
    return "default"


def strange_variables(commands: Iterable[str]) -> dict[str, str]:
    """Variables named as fimq's that it does not know, each with what it may have meant or "".

    `commands` are those whose options variables may set, as `FIMQ_SUBMIT_MODEL` does.
    """
    known = [name.upper() for name in (*Settings.model_fields, "config", "secrets_dir", "debug")]
    options = tuple(f"{name}_".replace("-", "_").upper() for name in commands)
    ours = (name.removeprefix(PREFIX) for name in sorted(os.environ) if name.startswith(PREFIX))
    strange = [name for name in ours if name not in known and not name.startswith(options)]
    nearest = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.75) for name in strange}
    return {PREFIX + name: PREFIX + near[0] if near else "" for name, near in nearest.items()}
