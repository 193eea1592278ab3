"""One peer's latency on one thread, for one model: `peers.py PEER NET MODEL [MILLISECONDS]`.

PEER is litert, onnxruntime, or onnxruntime-u8: the same with a file that Kiln wrote, whose unsigned
activations ONNX Runtime fuses everywhere.

Prints a line of JSON: microseconds an inference, as the median of many short measurements;
milliseconds from the file to the first answer, the library loaded; the process's greatest resident
memory in KiB. What an empty call from Python takes is taken off.
"""

import json
import statistics
import sys
import time


def litert(path: str):
    """The call that runs the model, and one of the same kind that does next to nothing."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    start = time.perf_counter()
    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    interpreter.set_tensor(given["index"], pattern(np, given["shape"], given["dtype"]))
    inner = interpreter._interpreter
    inner.Invoke()
    return inner.Invoke, inner.NumNodes, start, "LiteRT int8"


def onnxruntime(path: str):
    """As for LiteRT; inputs and outputs are bound once."""
    import numpy as np
    import onnxruntime as ort

    start = time.perf_counter()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    dtype = {"tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(float)": np.float32}[given.type]
    shape = [side if isinstance(side, int) and side > 0 else 1 for side in given.shape]
    binding = session.io_binding()
    binding.bind_ortvalue_input(given.name, ort.OrtValue.ortvalue_from_numpy(pattern(np, shape, dtype)))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    inner, bound = session._sess, binding._iobinding

    def run() -> None:
        inner.run_with_iobinding(bound, None)

    def empty() -> None:
        bound.get_outputs

    run()
    return run, empty, start, "ONNX Runtime s8"


def onnxruntime_u8(path: str):
    """ONNX Runtime under another name."""
    return (*onnxruntime(path)[:3], "ONNX Runtime u8")


def pattern(np, shape, dtype):
    """The input that Kiln's side runs too, as far as types allow."""
    values = np.arange(int(np.prod(shape))) * 37 % 251
    return (values.astype(np.uint8).view(np.int8) if dtype == np.int8 else values).astype(dtype).reshape(shape)


def measure(call, milliseconds: float) -> list[float]:
    """Microseconds a call, of measurements of a fifth of a millisecond or so."""
    times, repeat = [], 1
    end = time.perf_counter() + milliseconds / 1e3
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(repeat):
            call()
        times.append((time.perf_counter() - start) / repeat * 1e6)
        repeat = max(1, round(200 / times[-1]))
    return times


def peak() -> int:
    """KiB, where the system says."""
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)


SIDES = {"litert": litert, "onnxruntime": onnxruntime, "onnxruntime-u8": onnxruntime_u8}


def main() -> None:
    peer, net, path, *rest = sys.argv[1:]
    call, empty, start, side = SIDES[peer](path)
    first = (time.perf_counter() - start) * 1e3
    times = measure(call, float(rest[0]) if rest else 300)
    nothing = statistics.median(measure(empty, 30))
    line = {
        "side": side,
        "net": net,
        "us": statistics.median(times) - nothing,
        "best_us": min(times) - nothing,
        "first_ms": first,
        "peak_kib": peak(),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
