"""Writes the tiny ONNX files in tests/models: networks as PyTorch's two exporters write them.

    python tests/python/make_models.py [NAME...]

Needs torch, onnx and onnxscript. Run it again when an exporter's new version writes other graphs; the
files are checked in, so that nobody else needs torch. Each file's metadata has the logits that PyTorch
gives for the input sin(i / 3), i over the input's values in order: `kiln.test.logits`, a JSON list.
"""

import json
import sys
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional as F

MODELS = Path(__file__).resolve().parent.parent / "models"


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.a = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.a_norm = nn.BatchNorm2d(outputs)
        self.b = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.b_norm = nn.BatchNorm2d(outputs)
        self.short = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = F.relu(self.a_norm(self.a(x)))
        return F.relu(self.b_norm(self.b(y)) + self.short(x))


class ResNet(nn.Module):
    """Pool, residuals, and a view of sizes that are read at run time."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(Residual(6, 6, 1), Residual(6, 10, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(10, 5)

    def forward(self, x):
        x = self.pool(self.blocks(self.stem(x)))
        return self.head(x.view(x.size(0), -1))


class Gate(nn.Module):
    def __init__(self, channels, gate):
        super().__init__()
        self.down = nn.Conv2d(channels, 4, 1)
        self.up = nn.Conv2d(4, channels, 1)
        self.gate = gate

    def forward(self, x):
        y = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * self.gate(self.up(y))


class MobileNet(nn.Module):
    """Depthwise convolutions and squeeze-and-excite, as MobileNetV3 and EfficientNet have them."""

    def __init__(self, activation, gate):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), activation,
            nn.Conv2d(8, 16, 1), activation,
            nn.Conv2d(16, 16, 5, 1, 2, groups=16), nn.BatchNorm2d(16), activation,
            Gate(16, gate), nn.Conv2d(16, 12, 1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 5),
        )

    def forward(self, x):
        return self.net(x)


class Sound(nn.Module):
    """One-dimensional convolutions."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(2, 8, 9, 4, 4), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(8, 12, 3, padding=2, dilation=2), nn.LeakyReLU(0.1), nn.AvgPool1d(2),
        )
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.net(x).mean(-1))


class Branches(nn.Module):
    """Concat, PReLU, ReLU6, padding, pools with ceil_mode, Resize, a flattened image."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.ZeroPad2d((0, 2, 2, 0)), nn.Conv2d(3, 4, 3), nn.PReLU(4))
        self.b = nn.Sequential(nn.Conv2d(3, 4, 3, padding=(1, 1)), nn.ReLU6())
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.c = nn.Conv2d(4, 4, 3, 2, 1, groups=2)
        self.head = nn.Linear(8 * 2 * 3, 5)

    def forward(self, x):
        a, b = self.pool(self.a(x)), self.pool(self.b(x))
        c = F.interpolate(F.elu(self.c(b)), scale_factor=2, mode="nearest")
        x = torch.cat([a, c], 1)
        x = F.max_pool2d(torch.tanh(x), 2)
        return F.softmax(self.head(torch.flatten(x, 1)), 1)


NETWORKS = {
    "resnet": (ResNet(), (1, 3, 20, 16)),
    "hardswish": (MobileNet(nn.Hardswish(), nn.Hardsigmoid()), (1, 3, 14, 10)),
    "silu": (MobileNet(nn.SiLU(), nn.Sigmoid()), (1, 3, 14, 10)),
    "gelu": (MobileNet(nn.GELU(), nn.Sigmoid()), (1, 3, 14, 10)),
    "gelu-tanh": (MobileNet(nn.GELU("tanh"), nn.Sigmoid()), (1, 3, 14, 10)),
    "sound": (Sound(), (1, 2, 96)),
    "branches": (Branches(), (1, 3, 7, 11)),
}


def stir(network):
    """Weights and statistics that are not the ones that they start with."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.1, 0.5)
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.3)


def write(name, network, sizes, dynamo):
    count = 1
    for size in sizes:
        count *= size
    example = torch.sin(torch.arange(count, dtype=torch.float64) / 3).float().reshape(sizes)
    with torch.no_grad():
        logits = network(example)[0].tolist()
    path = MODELS / f"{name}.{'dynamo' if dynamo else 'torchscript'}.onnx"
    batch = {"dynamic_axes": {"input": {0: "batch"}}} if not dynamo else {}
    options = {"input_names": ["input"], "output_names": ["output"], **batch}
    if dynamo:
        options["external_data"] = False
    else:
        options["opset_version"] = 13
    torch.onnx.export(network, (example,), str(path), dynamo=dynamo, **options)
    model = onnx.load(path)
    # Traces of Python's source, with this machine's paths.
    for thing in [*model.graph.node, model.graph, *model.graph.value_info, *model.graph.input, *model.graph.output]:
        del thing.metadata_props[:]
        thing.doc_string = ""
    onnx.helper.set_model_props(model, {"kiln.test.logits": json.dumps(logits)})
    onnx.save(model, path)
    print(path.name, path.stat().st_size, "bytes", sorted({node.op_type for node in model.graph.node}))


def main():
    MODELS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        network, sizes = NETWORKS[name]
        stir(network)
        network.eval()
        for dynamo in (False, True):
            write(name, network, sizes, dynamo)
    return 0


if __name__ == "__main__":
    sys.exit(main())
