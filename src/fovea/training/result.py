"""What training delivers: a folder that opens without running anybody's code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.errors import RunError
from fovea.core.files import publish_directory

if TYPE_CHECKING:
    from fovea.models.normalize import NormalizedNet

WEIGHTS = "model.safetensors"
FACTS = "model.json"
RECORD = "run.json"
HISTORY = "history.json"
LAYERS = "layers.csv"


@dataclass(frozen=True)
class TrainedModel:
    """A trained network in a folder.

    `model.safetensors` holds the weights, `model.json` what they are (network, data, digests, epoch, validation
    metrics, layer table), `history.json` a row an epoch, `layers.csv` the layer table again, `run.json` the
    MLflow run that they belong to.

    Attributes:
        path: The folder.
        facts: The content of `model.json`.
    """

    path: Path
    facts: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> TrainedModel:
        """Opens the folder `path`.

        Raises:
            RunError: There is no trained model, or it is damaged.
        """
        try:
            facts = json.loads((path / FACTS).read_text())
        except OSError:
            raise RunError(f"no trained model at {path}; train one with `kedro run` first") from None
        except ValueError as error:
            raise RunError(f"{path / FACTS} is damaged ({error}); train again with `kedro run`") from None
        if not isinstance(facts, dict) or not {"model", "data", "run_name"} <= facts.keys():
            raise RunError(f"{path / FACTS} does not describe a Fovea model; train one with `kedro run`")
        return cls(path, facts)

    def publish(self, target: Path) -> None:
        """Puts the files at `target`, all at once."""
        publish_directory(self.path, target)

    def history(self) -> list[dict[str, float]]:
        """A row an epoch: `epoch`, `step`, `train/loss`, `train/acc`, `val/loss`, `val/acc`, `lr`.

        Raises:
            RunError: The file is missing or damaged.
        """
        path = self.path / HISTORY
        try:
            rows: list[dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read ({error}); train that model again") from error
        return rows

    def network(self) -> NormalizedNet:
        """The network with its normalisation, in evaluation mode, on the CPU.

        Takes pictures of shape [B, C, H, W], uint8 or float of 0..255; gives logits [B, classes], float32.

        Raises:
            RunError: The weights are missing, damaged, or of another network.
        """
        from fovea.config.schema import DataConfig, ModelConfig, parse
        from fovea.training.network import build_network

        model = parse(ModelConfig, self.facts["model"], f"{self.path / FACTS}: model")
        data = parse(DataConfig, self.facts["data"], f"{self.path / FACTS}: data")
        network = build_network(model, data)
        load_weights(network, self.path / WEIGHTS)
        return network.eval()


def load_weights(network: NormalizedNet, path: Path) -> None:
    """Loads a safetensors file into a network of exactly the same tensors.

    Raises:
        RunError: The file is missing, not safetensors, or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise RunError(f"the weights {path} are missing; train again with `kedro run`") from None
    except SafetensorError as error:
        raise RunError(
            f"{path} is not a safetensors file or is damaged ({error}); train again with `kedro run`"
        ) from None
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise RunError(
            f"{path} holds the weights of another network ({reason}); train again with `kedro run`"
        ) from None
