"""Random small CNNs as float ONNX files, as the exporters of PyTorch, Keras and burn write them.

For each seed: SEED.onnx, SEED.inputs.npy and SEED.expected.npy, which ONNX Runtime gives. A seed always gives the same
files. Shapes, strides, pads and groups are odd, branches are added, multiplied and joined, channels are split, shuffled and
put in any order, and squeeze-and-excite blocks, crops, batch-norm and all activations occur.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sessions import session

INPUTS = 24
MOST_VALUES = 6000


class Net:
    """A graph that grows a node at a time. Values are known by name; `shapes` has (channels, *space) of each."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        # Inside of activations that are made of several nodes: nothing else reads them.
        self.hidden: set[str] = set()
        self.opset = int(self.random.choice([11, 13, 17, 20]))
        self.axes = 1 if self.random.random() < 0.15 else 2

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def within(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def pick(self, *options):
        return options[self.within(0, len(options) - 1)]

    def constant(self, values) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def floats(self, *shape: int, scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
        return (self.random.normal(0, 1, shape) * scale + offset).astype(np.float32)

    def node(self, kind: str, inputs: list[str], shape: tuple[int, ...] | None = None, **attributes) -> str:
        output = f"v{len(self.nodes)}"
        domain = attributes.pop("domain", "")
        self.nodes.append(helper.make_node(kind, inputs, [output], f"{kind}_{len(self.nodes)}", domain=domain, **attributes))
        self.shapes[output] = self.shapes[inputs[0]] if shape is None else shape
        return output

    # Layers

    def window(self, space: tuple[int, ...], pool: bool = False) -> tuple[dict, tuple[int, ...]]:
        """Attributes of a window that fits, and the space that it leaves."""
        kernel = [self.within(2 if pool and side > 1 else 1, min(4, side + (0 if pool else 1))) for side in space]
        strides = [self.pick(1, 1, 2, 3) for _ in space]
        dilations = [1 if pool else self.pick(1, 1, 1, 2) for _ in space]
        if not pool and self.chance(0.2):
            mode = self.pick("SAME_UPPER", "SAME_LOWER", "VALID")
            reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
            if mode != "VALID":
                # ONNX Runtime and tract disagree about SAME with dilation; exporters never write it.
                dilations = [1 for _ in space]
                left = tuple(math.ceil(side / s) for side, s in zip(space, strides))
                return {"kernel_shape": kernel, "strides": strides, "auto_pad": mode}, left
            if all(side >= r for side, r in zip(space, reach)):
                left = tuple((side - r) // s + 1 for side, r, s in zip(space, reach, strides))
                return {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "auto_pad": mode}, left
        begins = [self.within(0, (k - 1) if not pool else min(k - 1, 1)) for k in kernel]
        ends = [self.within(0, (k - 1) if not pool else min(k - 1, 1)) for k in kernel]
        padded = [side + b + e for side, b, e in zip(space, begins, ends)]
        for i, (side, k) in enumerate(zip(padded, kernel)):
            if side < (k - 1) * dilations[i] + 1:
                dilations[i] = 1
                kernel[i] = min(k, side)
            if kernel[i] <= max(begins[i], ends[i]):
                kernel[i], begins[i], ends[i], padded[i] = 1, 0, 0, space[i]
        left = tuple((side - (k - 1) * d - 1) // s + 1 for side, k, d, s in zip(padded, kernel, dilations, strides))
        attributes = {"kernel_shape": kernel, "strides": strides, "pads": begins + ends}
        return (attributes if pool else attributes | {"dilations": dilations}), left

    def conv(self, value: str, channels: int | None = None, groups: int | None = None, window=None) -> str:
        depth, *space = self.shapes[value]
        if groups is None:
            divisors = [g for g in range(1, depth + 1) if depth % g == 0]
            groups = self.pick(1, 1, depth, self.pick(*divisors))
        channels = channels or groups * self.within(1, max(1, 10 // groups))
        attributes, left = window or self.window(tuple(space))
        kernel = attributes["kernel_shape"]
        fan = depth // groups * math.prod(kernel)
        weights = self.floats(channels, depth // groups, *kernel, scale=1.4 / math.sqrt(fan))
        if self.chance(0.3):
            # As of a net that was never balanced: channels of very unlike sizes.
            weights *= np.exp(self.random.uniform(-3, 0, (channels, 1) + (1,) * len(kernel))).astype(np.float32)
        inputs = [value, self.constant(weights)]
        if self.chance(0.7):
            inputs.append(self.constant(self.floats(channels, scale=0.3)))
        out = self.node("Conv", inputs, (channels, *left), group=groups, **attributes)
        return self.batch_norm(out) if self.chance(0.3) else out

    def batch_norm(self, value: str) -> str:
        c = self.shapes[value][0]
        parts = [self.floats(c, scale=0.3, offset=1), self.floats(c, scale=0.3), self.floats(c, scale=0.3)]
        parts.append(np.abs(self.floats(c, scale=0.5, offset=1)) + np.float32(0.05))
        return self.node("BatchNormalization", [value, *map(self.constant, parts)], epsilon=1e-3)

    def activation(self, value: str) -> str:
        before = set(self.shapes)
        out = self.function(value)
        self.hidden |= set(self.shapes) - before - {out}
        return out

    def function(self, value: str) -> str:
        kind = self.pick(
            "Relu", "Relu", "Relu", "Relu6", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "HardSwishParts",
            "Silu", "Tanh", "Gelu", "GeluTanh", "Elu", "Selu", "Softplus", "Softsign", "Mish", "none",
        )
        constant = lambda number: self.constant(np.float32(number))  # noqa: E731
        match kind:
            case "none":
                return value
            case "Relu6":
                return self.node("Clip", [value, constant(0), constant(6)])
            case "Clip":
                return self.node("Clip", [value, constant(-0.5), constant(1.25)])
            case "Mish" if self.opset < 18 or self.chance(0.5):
                return self.node("Mul", [value, self.node("Tanh", [self.node("Softplus", [value])])])
            case "LeakyRelu" | "Elu":
                return self.node(kind, [value], alpha=self.pick(0.1, 0.3))
            case "PRelu":
                axes = (1,) * (len(self.shapes[value]) - 1)
                count = self.pick(1, self.shapes[value][0])
                return self.node("PRelu", [value, self.constant(self.floats(count, *axes, scale=0.3))])
            case "HardSigmoid":
                return self.node(kind, [value], alpha=self.pick(0.2, 1 / 6), beta=0.5)
            case "HardSwish" if self.opset >= 14:
                return self.node(kind, [value])
            case "HardSwish" | "HardSwishParts":
                if self.chance(0.5):
                    gate = self.node("HardSigmoid", [value], alpha=1 / 6, beta=0.5)
                    return self.node("Mul", [value, gate])
                moved = self.node("Add", [value, constant(3)])
                clipped = self.node("Clip", [moved, constant(0), constant(6)])
                return self.node("Div", [self.node("Mul", [value, clipped]), constant(6)])
            case "Silu":
                gate = self.node("Sigmoid", [value])
                return self.node("Mul", [value, gate] if self.chance(0.5) else [gate, value])
            case "Gelu" | "GeluTanh" if self.opset >= 20:
                return self.node("Gelu", [value], approximate="tanh" if kind == "GeluTanh" else "none")
            case "Gelu" | "GeluTanh":
                inner = self.node("Erf", [self.node("Div", [value, constant(math.sqrt(2))])])
                whole = self.node("Mul", [value, self.node("Add", [inner, constant(1)])])
                return self.node("Mul", [whole, constant(0.5)])
            case _:
                return self.node(kind, [value])

    def pool(self, value: str) -> str:
        c, *space = self.shapes[value]
        attributes, left = self.window(tuple(space), pool=True)
        if self.chance(0.5):
            return self.node("MaxPool", [value], (c, *left), **attributes)
        return self.node("AveragePool", [value], (c, *left), count_include_pad=self.within(0, 1), **attributes)

    def global_average(self, value: str, keep: bool = True) -> str:
        c, *space = self.shapes[value]
        kept = (c, *(1 for _ in space))
        if keep and self.chance(0.6):
            return self.node("GlobalAveragePool", [value], kept)
        axes = list(range(2, 2 + len(space)))
        keepdims = {"keepdims": int(keep)}
        shape = kept if keep else (c,)
        if self.opset < 18:
            return self.node("ReduceMean", [value], shape, axes=axes, **keepdims)
        return self.node("ReduceMean", [value, self.constant(np.int64(axes))], shape, **keepdims)

    def gate(self, value: str) -> str:
        """Squeeze and excite."""
        c = self.shapes[value][0]
        point = ({"kernel_shape": [1] * self.axes}, (1,) * self.axes)
        squeezed = self.node("Relu", [self.conv(self.global_average(value), self.within(1, 4), 1, point)])
        excited = self.conv(squeezed, c, 1, point)
        kind = self.pick("Sigmoid", "HardSigmoid")
        return self.node("Mul", [value, self.node(kind, [excited])] if self.chance(0.7) else [self.node(kind, [excited]), value], self.shapes[value])

    def branch(self, value: str) -> str:
        """Something of the same shape."""
        c, *space = self.shapes[value]
        side = [self.pick(1, 3) for _ in space]
        same = ({"kernel_shape": side, "pads": [k // 2 for k in side] * 2}, tuple(space))
        out = self.activation(self.conv(value, c, self.pick(1, c), same))
        return self.activation(self.conv(out, c, 1, same)) if self.chance(0.4) else out

    def join(self, value: str) -> str:
        shape = self.shapes[value]
        alike = [name for name, other in self.shapes.items() if other == shape and name not in self.hidden | {value, "x"}]
        other = self.pick(*alike) if alike and self.chance(0.4) else self.branch(value)
        kind = self.pick("Add", "Add", "Add", "Mul", "Sub", "Concat")
        pair = [value, other] if self.chance(0.5) else [other, value]
        if kind == "Concat":
            return self.node("Concat", pair, (2 * shape[0], *shape[1:]), axis=1)
        return self.node(kind, pair)

    def pad(self, value: str) -> str:
        c, *space = self.shapes[value]
        pads = [[self.within(0, 2) for _ in space] for _ in range(2)]
        left = tuple(side + b + e for side, b, e in zip(space, *pads))
        amounts = self.constant(np.int64([0, 0, *pads[0], 0, 0, *pads[1]]))
        return self.node("Pad", [value, amounts], (c, *left))

    def resize(self, value: str) -> str:
        c, *space = self.shapes[value]
        factors = [self.within(1, 2) for _ in space]
        scales = self.constant(np.float32([1, 1, *factors]))
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        left = tuple(side * factor for side, factor in zip(space, factors))
        # Its second input may be left out from version 13 on.
        region = self.constant(np.float32([])) if self.opset < 13 else ""
        return self.node("Resize", [value, region, scales], (c, *left), **modes)

    def split(self, value: str) -> str:
        """Channels in two parts, and a branch of one of them, as CSPNet and ShuffleNet have it."""
        c, *space = self.shapes[value]
        if c < 2:
            return value
        counts = [first := self.within(1, c - 1), c - first]
        parts = [f"v{len(self.nodes)}_{part}" for part in range(2)]
        inputs, sizes = [value], {"split": counts}
        if self.opset >= 13:
            inputs, sizes = [value, self.constant(np.int64(counts))], {}
        self.nodes.append(helper.make_node("Split", inputs, parts, f"Split_{len(self.nodes) + 1}", axis=1, **sizes))
        self.shapes |= {part: (count, *space) for part, count in zip(parts, counts)}
        if self.chance(0.5):
            parts.reverse()
        kept, changed = parts
        changed = self.branch(changed)
        return changed if self.chance(0.2) else self.node("Concat", [kept, changed], (c, *space), axis=1)

    def shuffle(self, value: str) -> str:
        c, *space = self.shapes[value]
        groups = self.pick(*(g for g in range(1, c + 1) if c % g == 0))
        apart = (groups, c // groups)
        taken = self.node("Reshape", [value, self.constant(np.int64([1, *apart, *space]))], (*apart, *space))
        turned = self.node("Transpose", [taken], (*apart[::-1], *space), perm=[0, 2, 1, *range(3, 3 + len(space))])
        self.hidden |= {taken, turned}
        return self.node("Reshape", [turned, self.constant(np.int64([1, -1, *space]))], (c, *space))

    def order(self, value: str) -> str:
        c, *space = self.shapes[value]
        order = self.random.permutation(c) if self.chance(0.7) else self.random.integers(-c, c, self.within(1, 8))
        return self.node("Gather", [value, self.constant(np.int64(order))], (len(order), *space), axis=1)

    def crop(self, value: str) -> str:
        c, *space = self.shapes[value]
        starts = [self.within(0, min(2, side - 1)) for side in space]
        ends = [self.within(max(start + 1, side - 2), side) for start, side in zip(starts, space)]
        steps = [self.pick(1, 1, 2) for _ in space]
        left = tuple(len(range(*bounds)) for bounds in zip(starts, ends, steps))
        bounds = [starts, ends, list(range(2, 2 + len(space))), steps]
        return self.node("Slice", [value, *(self.constant(np.int64(numbers)) for numbers in bounds)], (c, *left))

    def scaled(self, value: str) -> str:
        """By a constant of each channel or of all."""
        shape = (self.pick(1, self.shapes[value][0]), *(1 for _ in range(self.axes)))
        kind = self.pick("Mul", "Add", "Sub", "Div")
        offset = 1.5 if kind in ("Mul", "Div") else 0
        constant = self.constant(self.floats(*shape, scale=0.3, offset=offset))
        return self.node(kind, [value, constant])

    def layer(self, value: str) -> str:
        kinds = [
            self.conv, self.conv, self.join, self.join, self.gate, self.pool, self.pad, self.resize, self.scaled, self.split,
            self.shuffle, self.order, self.crop,
        ]
        if self.chance(0.05):
            value = self.node("Identity", [value])
        out = self.pick(*kinds)(value)
        if math.prod(self.shapes[out]) > MOST_VALUES:
            return value
        return self.activation(out) if self.chance(0.6) else out

    def head(self, value: str) -> str:
        c, *space = self.shapes[value]
        classes = self.within(2, 7)
        if self.chance(0.2):
            point = ({"kernel_shape": [1] * self.axes}, tuple(space))
            value = self.global_average(self.conv(value, classes, 1, point))
            return self.node("Flatten", [value], (classes,))
        if self.chance(0.7):
            value = self.global_average(value, keep=self.chance(0.7))
        shape = self.shapes[value]
        features = math.prod(shape)
        if len(shape) > 1:
            if self.chance(0.5):
                value = self.node("Flatten", [value], (features,))
            else:
                value = self.node("Reshape", [value, self.constant(np.int64([1, -1]))], (features,))
        if self.chance(0.2):
            value = self.node("Dropout", [value])
        if self.chance(0.3):
            value = self.activation_of_vector(self.dense(value, self.within(3, 9)))
        value = self.dense(value, classes)
        return self.node("Softmax", [value], axis=1) if self.chance(0.2) else value

    def activation_of_vector(self, value: str) -> str:
        return self.node(self.pick("Relu", "Tanh", "Sigmoid"), [value])

    def dense(self, value: str, outputs: int) -> str:
        features = self.shapes[value][0]
        weights = self.floats(features, outputs, scale=1.4 / math.sqrt(features))
        bias = self.constant(self.floats(outputs, scale=0.3))
        match self.pick("Gemm", "GemmT", "MatMul"):
            case "Gemm":
                return self.node("Gemm", [value, self.constant(weights), bias], (outputs,))
            case "GemmT":
                return self.node("Gemm", [value, self.constant(weights.T.copy()), bias], (outputs,), transB=1)
            case _:
                product = self.node("MatMul", [value, self.constant(weights)], (outputs,))
                return self.node("Add", [product, bias] if self.chance(0.5) else [bias, product], (outputs,))


def build(seed: int) -> tuple[onnx.ModelProto, np.ndarray]:
    net = Net(seed)
    space = [net.within(1, 13) for _ in range(net.axes)]
    shape = (net.within(1, 5), *space)
    net.shapes["x"] = shape
    value = net.activation(net.conv("x"))
    for _ in range(net.within(1, 8)):
        value = net.layer(value)
    value = net.head(value)
    graph = helper.make_graph(
        net.nodes, f"random_{seed}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *shape])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, *net.shapes[value]])],
        net.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", net.opset)], ir_version=8)
    base = net.random.normal(0, 0.7, (INPUTS, 1) + (1,) * net.axes)
    inputs = (net.random.normal(0, 1, (INPUTS, *shape)) + base).astype(np.float32)
    return model, inputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int, help="the first seed")
    parser.add_argument("count", type=int, help="how many seeds")
    args = parser.parse_args()
    for seed in range(args.first, args.first + args.count):
        model, inputs = build(seed)
        onnx.checker.check_model(model, full_check=True)
        runtime = session(model.SerializeToString())
        name = model.graph.input[0].name
        expected = np.stack([runtime.run(None, {name: one[None]})[0][0] for one in inputs])
        at = args.folder / f"{seed}"
        onnx.save(model, at.with_suffix(".onnx"))
        np.save(at.with_suffix(".inputs.npy"), inputs)
        np.save(at.with_suffix(".expected.npy"), expected)


if __name__ == "__main__":
    main()
