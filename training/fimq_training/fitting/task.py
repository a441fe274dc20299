"""A task: what is fitted, on what, and what is lost. `Fit` knows nothing else of it."""

from __future__ import annotations

from typing import Any, Protocol


class Task(Protocol):
    """What `Fit` asks for. A batch is a tuple of tensors, its first axis the examples."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""

    @property
    def has_validation(self) -> bool:
        """Whether `validation` has batches."""

    def build(self) -> Any:
        """A new Keras model with its start weights; called in the strategy's scope."""

    def batches(self, epoch: int, first: int) -> Any:
        """A tf.data.Dataset of the epoch's batches from `first` on; the same each time."""

    def validation(self) -> Any:
        """A tf.data.Dataset of the validation batches."""

    def lost(self, model: Any, batch: Any, *, training: bool) -> tuple[Any, Any]:
        """The loss of each example in nats, and whether each was judged right: both [N]."""
