"""A GPU on paper: CUDA's and TensorRT's calls, carried out in host memory.

No card is at hand where these tests run. What can still be shown is that our code asks for
the right things in the right order and believes no answer that it should not: memory of the
card and of the host are told apart, every copy is held to its bounds, work in a stream is
done when somebody waits for it and not before, and any call can be made to fail. Networks are
computed by ONNX Runtime. It shows nothing about a real card, nor about speed; a test holds
its names to the real packages'.
"""

from __future__ import annotations

import ctypes
import enum
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime


class CudaError(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700


class Copy(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class Properties:
    name = b"Paper 4090\0\0\0"
    major, minor = 8, 9


class PaperCuda:
    """What `cuda.bindings.runtime` offers, as far as it is used."""

    cudaError_t = CudaError
    cudaMemcpyKind = Copy
    cudaStreamNonBlocking = 1

    def __init__(self) -> None:
        self.driver, self.cards = 12080, 1
        self.fails: dict[str, CudaError] = {}
        self.broken = CudaError.cudaSuccess  #: an error that every later call meets, too
        self.host: dict[int, Any] = {}
        self.card: dict[int, Any] = {}
        self.streams: dict[int, deque[Callable[[], None]]] = {}
        self.calls: dict[str, int] = defaultdict(int)

    def _answer(self, name: str) -> CudaError:
        self.calls[name] += 1
        if self.broken:
            return self.broken
        return self.fails.pop(name, CudaError.cudaSuccess)

    def cudaDriverGetVersion(self) -> Any:
        return CudaError.cudaSuccess, self.driver

    def cudaGetDeviceCount(self) -> Any:
        error = self._answer("cudaGetDeviceCount")
        return error, None if error else self.cards

    def cudaGetDeviceProperties(self, device: int) -> Any:
        return self._answer("cudaGetDeviceProperties"), Properties()

    def cudaGetErrorString(self, error: CudaError) -> Any:
        return CudaError.cudaSuccess, error.name.encode()

    def cudaGetLastError(self) -> Any:
        return (self.broken,)

    def cudaDeviceSynchronize(self) -> Any:
        return (self.broken,)

    def _allocate(self, name: str, memory: dict[int, Any], size: int) -> Any:
        if error := self._answer(name):
            return error, None
        block = (ctypes.c_uint8 * size)(*([0xAA] * size))
        address = ctypes.addressof(block)
        memory[address] = block
        return CudaError.cudaSuccess, address

    def cudaMallocHost(self, size: int) -> Any:
        return self._allocate("cudaMallocHost", self.host, size)

    def cudaMalloc(self, size: int) -> Any:
        return self._allocate("cudaMalloc", self.card, size)

    def cudaFreeHost(self, address: int) -> Any:
        del self.host[address]
        return (CudaError.cudaSuccess,)

    def cudaFree(self, address: int) -> Any:
        del self.card[address]
        return (CudaError.cudaSuccess,)

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        error = self._answer("cudaStreamCreateWithFlags")
        handle = 7 + len(self.streams)
        self.streams[handle] = deque()
        return error, handle

    def cudaStreamDestroy(self, handle: int) -> Any:
        del self.streams[handle]
        return (CudaError.cudaSuccess,)

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: Copy, stream: int) -> Any:
        if error := self._answer("cudaMemcpyAsync"):
            return (error,)
        comes, goes = (
            (self.host, self.card)
            if kind is Copy.cudaMemcpyHostToDevice
            else (self.card, self.host)
        )
        if size > len(comes[source]) or size > len(goes[to]):
            return (CudaError.cudaErrorInvalidValue,)
        self.streams[stream].append(lambda: ctypes.memmove(to, source, size) and None)
        return (CudaError.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> Any:
        if error := self._answer("cudaStreamSynchronize"):
            return (error,)
        work = self.streams[stream]
        while work:
            work.popleft()()
        return (CudaError.cudaSuccess,)


class Severity(enum.Enum):
    ERROR = 1
    WARNING = 2


class ComputeCapability(enum.Enum):
    CURRENT = 0
    SM86 = 86
    SM89 = 89
    SM120 = 120


class DataType(enum.Enum):
    FLOAT = 0
    UINT8 = 1
    HALF = 2
    INT64 = 3


class TensorIOMode(enum.Enum):
    INPUT = 0
    OUTPUT = 1


_TYPES = {1: DataType.FLOAT, 2: DataType.UINT8, 7: DataType.INT64, 10: DataType.HALF}


class ILogger:
    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class PaperTensorRt:
    """What `tensorrt` and `tensorrt_rtx` offer, as far as it is used."""

    __version__ = "1.7.1"
    ILogger = ILogger
    ComputeCapability = ComputeCapability
    TensorIOMode = TensorIOMode

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        STRONGLY_TYPED = 1

    class BuilderFlag(enum.Enum):
        TF32 = 1

    def __init__(self, cuda: PaperCuda) -> None:
        self.cuda = cuda
        self.refuses: set[str] = set()  #: calls that answer None or False
        self.built: list[BuilderConfig] = []
        self.runs: list[tuple[int, ...]] = []

    def says(self, logger: ILogger, name: str) -> bool:
        """Whether a call is to be refused; then the logger is told why, and nobody else."""
        if name not in self.refuses:
            return False
        logger.log(Severity.ERROR, f"Error Code 1: {name} on paper")  # noqa: G004 - TensorRT's
        logger.log(Severity.ERROR, "and something that follows from it")
        return True

    def Builder(self, logger: ILogger) -> Builder:
        return Builder(self, logger)

    def OnnxParser(self, network: Network, logger: ILogger) -> OnnxParser:
        return OnnxParser(network, logger)

    def Runtime(self, logger: ILogger) -> Runtime:
        return Runtime(self, logger)


class Tensor:
    def __init__(self, info: Any) -> None:
        kind = info.type.tensor_type
        self.name = info.name
        self.dtype = _TYPES[kind.elem_type]
        self.shape = tuple(d.dim_value or -1 for d in kind.shape.dim)


class Network:
    def __init__(self) -> None:
        self.onnx = b""
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self.outputs)

    def get_input(self, index: int) -> Tensor:
        return self.inputs[index]


class ParserError:
    def desc(self) -> str:
        return "Failed to parse the ONNX model."


class OnnxParser:
    num_errors = 1

    def __init__(self, network: Network, logger: ILogger) -> None:
        self.network, self.logger = network, logger

    def parse(self, model: bytes) -> bool:
        try:
            read = onnx.load_from_string(model)
            onnx.checker.check_model(read, full_check=True)
        except Exception:
            self.logger.log(Severity.ERROR, "MODEL_DESERIALIZE_FAILED")
            return False
        self.network.onnx = model
        self.network.inputs = [Tensor(info) for info in read.graph.input]
        self.network.outputs = [Tensor(info) for info in read.graph.output]
        return True

    def get_error(self, index: int) -> ParserError:
        return ParserError()


class OptimizationProfile:
    def __init__(self) -> None:
        self.shapes: tuple[tuple[int, ...], ...] = ()

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self.shapes = (min, opt, max)


class BuilderConfig:
    def __init__(self) -> None:
        self.flags = {PaperTensorRt.BuilderFlag.TF32}
        self.num_compute_capabilities = 0
        self.capabilities: list[ComputeCapability] = []
        self.profiles: list[OptimizationProfile] = []

    def clear_flag(self, flag: Any) -> None:
        self.flags.remove(flag)

    def set_compute_capability(self, capability: ComputeCapability, index: int) -> bool:
        self.capabilities.append(capability)
        return len(self.capabilities) <= self.num_compute_capabilities

    def add_optimization_profile(self, profile: OptimizationProfile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1


class Builder:
    def __init__(self, trt: PaperTensorRt, logger: ILogger) -> None:
        self.trt, self.logger = trt, logger

    def create_network(self, flags: int = 0) -> Network:
        return Network()

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig()

    def create_optimization_profile(self) -> OptimizationProfile:
        return OptimizationProfile()

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> bytes | None:
        if self.trt.says(self.logger, "build_serialized_network"):
            return None
        self.trt.built.append(config)
        return b"paper" + network.onnx


class Runtime:
    def __init__(self, trt: PaperTensorRt, logger: ILogger) -> None:
        self.trt, self.logger = trt, logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
        refused = self.trt.says(self.logger, "deserialize_cuda_engine")
        if refused or not serialized_engine.startswith(b"paper"):
            return None
        return Engine(self, serialized_engine.removeprefix(b"paper"))


class Engine:
    num_io_tensors = 2

    def __init__(self, runtime: Runtime, network: bytes) -> None:
        self.trt, self.logger = runtime.trt, runtime.logger
        graph = onnx.load_from_string(network).graph
        self.tensors = [Tensor(graph.input[0]), Tensor(graph.output[0])]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self.session: Any = onnxruntime.InferenceSession(
            network, options, providers=["CPUExecutionProvider"]
        )

    def _tensor(self, name: str) -> Tensor:
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def get_tensor_name(self, index: int) -> str:
        return self.tensors[index].name

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode(self.tensors.index(self._tensor(name)))

    def get_tensor_dtype(self, name: str) -> DataType:
        return self._tensor(name).dtype

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._tensor(name).shape

    def create_execution_context(self) -> Context | None:
        if self.trt.says(self.logger, "create_execution_context"):
            return None
        return Context(self)


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.trt, self.logger = engine, engine.trt, engine.logger
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return not self.trt.says(self.logger, "set_tensor_address")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        most = self.trt.built[-1].profiles[0].shapes[2] if self.trt.built else shape
        fits = 1 <= shape[0] <= most[0] and shape[1:] == most[1:]
        return fits and not self.trt.says(self.logger, "set_input_shape")

    def execute_async_v3(self, stream_handle: int) -> bool:
        if self.trt.says(self.logger, "execute_async_v3"):
            return False
        given, gives = (tensor.name for tensor in self.engine.tensors)
        card, shape = self.trt.cuda.card, self.shape
        source, target = card[self.addresses[given]], card[self.addresses[gives]]

        def run() -> None:
            self.trt.runs.append(shape)
            crops = np.frombuffer(source, np.uint8, int(np.prod(shape))).reshape(shape)
            scores = self.engine.session.run(None, {given: crops})[0]
            ctypes.memmove(target, scores.tobytes(), scores.nbytes)

        self.trt.cuda.streams[stream_handle].append(run)
        return True
