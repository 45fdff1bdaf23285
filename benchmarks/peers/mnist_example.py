"""The plain PyTorch way to 99 % on MNIST: two 3x3 convolutions, Adadelta, a DataLoader over a torchvision data set.

Trains until the test accuracy first reaches the target and prints `reached <accuracy> after <epochs> epochs`.

    python benchmarks/peers/mnist_example.py FOLDER_WITH_THE_FOUR_GZ_FILES [TARGET]
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


class Net(nn.Module):
    """conv 32 3x3, conv 64 3x3, pool, dropout, fc 128, dropout, fc 10."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(9216, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [B, 1, 28, 28] to log-probabilities [B, 10]."""
        return functional.log_softmax(self.layers(images), dim=1)


def test_accuracy(net: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]]) -> float:
    """Part of the test pictures that the network names right."""
    net.eval()
    with torch.no_grad():
        right = sum(int((net(images).argmax(1) == labels).sum()) for images, labels in loader)
    return right / len(loader.dataset)  # type: ignore[arg-type]


def main(source: Path, target: float) -> None:
    """Trains to the target."""
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for packed in source.glob("*.gz"):
            (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
        to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        train = DataLoader(datasets.MNIST(folder, train=True, transform=to_tensor), batch_size=64, shuffle=True)
        test = DataLoader(datasets.MNIST(folder, train=False, transform=to_tensor), batch_size=1000)
    net = Net()
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(1, 15):
        net.train()
        for images, labels in train:
            optimizer.zero_grad()
            functional.nll_loss(net(images), labels).backward()
            optimizer.step()
        schedule.step()
        accuracy = test_accuracy(net, test)
        print(f"epoch {epoch}: {accuracy:.4f}", flush=True)
        if accuracy >= target:
            print(f"reached {accuracy:.4f} after {epoch} epochs")
            return
    sys.exit(f"{target} was not reached in 14 epochs")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.99)
