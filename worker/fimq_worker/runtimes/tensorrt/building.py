"""Building: a network becomes an engine, for the batches of a profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fimq.errors import ModelInvalid, RuntimeUnusable
from fimq_worker.runtimes.tensorrt.key import Profile
from fimq_worker.runtimes.tensorrt.messages import Messages


@dataclass(frozen=True, slots=True)
class Parsed:
    """A network as TensorRT read it. The builder is kept because the network is its."""

    builder: Any
    network: Any


def parse(trt: Any, messages: Messages, logger: Any, network: bytes) -> Parsed:
    """Let TensorRT read a network. Each tensor keeps the type that the network gives it.

    Raises:
        ModelInvalid: it cannot, or the network has not one input and one output.
    """
    builder = trt.Builder(logger)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    parsed = Parsed(builder, builder.create_network(flags))
    parser = trt.OnnxParser(parsed.network, logger)
    if not parser.parse(network):
        says = parser.get_error(0).desc() if parser.num_errors else messages.why()
        raise ModelInvalid(f"TensorRT cannot read the network: {says}")
    if (parsed.network.num_inputs, parsed.network.num_outputs) != (1, 1):
        raise ModelInvalid("The network has not one input and one output")
    return parsed


def batches(parsed: Parsed, size: int, profile: Profile) -> Any:
    """The sizes of a batch, as TensorRT takes them.

    Raises:
        ModelInvalid: the network takes other crops.
    """
    sizes = parsed.builder.create_optimization_profile()
    shapes = [(count, size, size, 3) for count in (profile.least, profile.best, profile.most)]
    try:
        sizes.set_shape(parsed.network.get_input(0).name, *shapes)
    except (RuntimeError, ValueError) as error:
        raise ModelInvalid(f"The network does not take {size} pixels: {error}") from error
    return sizes


def build(
    trt: Any,
    messages: Messages,
    logger: Any,
    network: bytes,
    *,
    size: int,
    profile: Profile,
    capability: str = "",
) -> bytes:
    """Build an engine.

    Args:
        trt: the package.
        messages: what its logger says.
        logger: the logger, made by `messages`.
        network: ONNX, with the number of crops as its only open dimension.
        size: side of a crop.
        profile: sizes of a batch.
        capability: as in SM89; empty for the card of this machine.

    Raises:
        ModelInvalid: TensorRT cannot read the network.
        RuntimeUnusable: it can, but no engine came of it.
    """
    parsed = parse(trt, messages, logger, network)
    config = parsed.builder.create_builder_config()
    # On by default; with it, what is called f32 is computed with a mantissa of 10 bits.
    config.clear_flag(trt.BuilderFlag.TF32)
    if capability:
        config.num_compute_capabilities = 1
        if not config.set_compute_capability(trt.ComputeCapability.__members__[capability], 0):
            raise RuntimeUnusable(f"TensorRT cannot build for {capability}: {messages.why()}")
    if config.add_optimization_profile(batches(parsed, size, profile)) < 0:
        raise ModelInvalid(f"The network does not take such batches: {messages.why()}")
    engine = parsed.builder.build_serialized_network(parsed.network, config)
    if engine is None:
        raise RuntimeUnusable(f"TensorRT cannot build an engine: {messages.why()}")
    return bytes(engine)
