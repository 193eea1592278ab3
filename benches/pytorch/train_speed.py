"""Images a second when PyTorch trains on the CPU: forward, loss, backward, SGD step.

The batches lie in memory, ready for the model. Prints one line of JSON for each net.
`trainer/examples/train_speed.rs` does the same with Kiln and takes the same flags.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn

BATCH = 64
# Batches in memory, taken in turn.
BATCHES = 8


class Cnn(nn.Sequential):
    """The plain CNN of textbooks: three times conv 3×3, batch norm, ReLU, 2×2 max pooling."""

    def __init__(self, classes: int):
        blocks = []
        for before, after in [(3, 16), (16, 32), (32, 64)]:
            conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
            blocks += [conv, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


class Residual(nn.Module):
    """Two 3×3 convolutions around a shortcut, with a 1×1 convolution on it where the shape changes."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet8(nn.Sequential):
    """MLPerf Tiny's ResNet-8: stem of 16, then stages of 16, 32 and 64 with strides 1, 2 and 2."""

    def __init__(self, classes: int):
        super().__init__(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            Residual(16, 16, 1),
            Residual(16, 32, 2),
            Residual(32, 64, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, classes),
        )


# Name → net, height and width of the input, classes.
NETS = {"cnn-64": (Cnn, 64, 2), "resnet8-32": (ResNet8, 32, 10)}


class Training:
    """A net, its optimiser and its data."""

    def __init__(self, name: str, seed: int):
        torch.manual_seed(seed)
        make, side, classes = NETS[name]
        self.net = make(classes).train()
        self.optimiser = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9)
        self.data = [(torch.randn(BATCH, 3, side, side), torch.randint(classes, (BATCH,))) for _ in range(BATCHES)]

    def images_per_second(self, steps: int) -> float:
        start = time.perf_counter()
        for step in range(steps):
            pictures, labels = self.data[step % BATCHES]
            self.optimiser.zero_grad()
            loss = nn.functional.cross_entropy(self.net(pictures), labels)
            loss.backward()
            self.optimiser.step()
        loss.item()
        return steps * BATCH / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", action="append", choices=list(NETS), help="only this one (may be repeated)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements a net; the nets take turns")
    parser.add_argument("--steps", type=int, default=40, help="training steps a measurement")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    trainings = {name: Training(name, seed=1) for name in args.net or NETS}
    for training in trainings.values():
        training.images_per_second(BATCHES)
    rounds = {name: [] for name in trainings}
    for _ in range(args.rounds):
        for name, training in trainings.items():
            rounds[name].append(training.images_per_second(args.steps))
    for name, speeds in rounds.items():
        report = {"side": f"PyTorch {torch.__version__}", "net": name, "batch": BATCH, "threads": args.threads}
        report |= {"rounds": speeds, "images_per_second": statistics.median(speeds)}
        print(json.dumps(report))


if __name__ == "__main__":
    main()
