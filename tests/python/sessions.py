"""ONNX Runtime's sessions, with the same integers on every machine."""

import platform
from pathlib import Path

import onnxruntime


def lacks_vnni() -> bool:
    """Whether ONNX Runtime's u8 × s8 kernels saturate in 16 bits here unless they are told not to."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return "avx512_vnni" not in flags and "avx_vnni" not in flags


def session(model: Path | bytes, optimized: Path | None = None, signed: bool = False) -> onnxruntime.InferenceSession:
    """One thread, ONNX Runtime's own optimizations; the graph that it runs is written to `optimized`.

    Activations that are `signed` saturate without VNNI too, and ONNX Runtime 1.32 does not start with files of them
    where it is told not to: it computes in floats there, with no integer kernel.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Kernels' layouts are not ONNX's: it warns that the file is for this machine alone.
    options.log_severity_level = 3
    if optimized:
        options.optimized_model_filepath = str(optimized)
    if lacks_vnni() and signed:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    elif lacks_vnni():
        options.add_session_config_entry("session.x64quantprecision", "1")
    model = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
