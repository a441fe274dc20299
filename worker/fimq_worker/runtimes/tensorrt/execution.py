"""Execution: crops go through an engine.

All memory is allocated once, for the profile's largest batch, and pinned, so that copies run
beside Python. Copies and kernels go into one stream of their own; the only wait is at its end.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fimq.errors import ModelInvalid, RuntimeUnusable
from fimq_worker.runtimes.tensorrt.device import Buffer, Cuda, Stream
from fimq_worker.runtimes.tensorrt.messages import Messages

#: What a crop or a score may be at an engine's edge. NumPy converts into the pinned buffer.
_TYPES: Final = {"UINT8": np.uint8, "FLOAT": np.float32, "HALF": np.float16}


class Execution:
    """An engine with its context and buffers. One thread at a time."""

    def __init__(
        self, trt: Any, cuda: Cuda, messages: Messages, engine: Any, *, most: int, size: int
    ) -> None:
        """Allocate everything.

        Raises:
            ModelInvalid: the engine takes or gives something else than crops and scores.
            RuntimeUnusable, GpuFailed: there is no room for it on the card.
        """
        self._cuda, self._messages, self._engine = cuda, messages, engine
        self._context = engine.create_execution_context()
        if self._context is None:
            raise RuntimeUnusable(f"TensorRT cannot run the engine: {messages.why()}")
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        outputs = [n for n in names if n not in inputs]
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelInvalid("The engine has not one input and one output")
        (self._input,), (output,) = inputs, outputs
        self._crop = (size, size, 3)
        scores = tuple(engine.get_tensor_shape(output))[1:]
        if any(length < 1 for length in scores):
            raise ModelInvalid("The engine's answer has no fixed number of classes")
        self._crops = Buffer(cuda, (most, *self._crop), self._type(self._input))
        self._scores = Buffer(cuda, (most, *scores), self._type(output))
        self._stream = Stream(cuda)
        for name, buffer in ((self._input, self._crops), (output, self._scores)):
            self._must(self._context.set_tensor_address(name, buffer.address), "addresses")

    def run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the scores of crops, at most as many as there is room for.

        Raises:
            GpuFailed, GpuLost: the card did not answer.
        """
        count = len(crops)
        self._crops.host[:count] = crops
        shape = (count, *self._crop)
        self._must(self._context.set_input_shape(self._input, shape), "the batch's size")
        self._crops.send(count, self._stream.handle)
        started = self._context.execute_async_v3(int(self._stream.handle))
        self._must(started, "the start")
        self._scores.fetch(count, self._stream.handle)
        self._stream.wait()
        return self._scores.host[:count].astype(np.float32)

    def _type(self, name: str) -> Any:
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in _TYPES:
            raise ModelInvalid(f"The engine's {name} is of type {kind}")
        return _TYPES[kind]

    def _must(self, answer: bool, what: str) -> None:  # noqa: FBT001 -- TensorRT's answer
        if not answer:
            raise self._cuda.failure(f"TensorRT refused {what}: {self._messages.why()}")
