"""The state of a training on disk, so that a killed one goes on where it was: one safetensors file.

The file is named by a fingerprint of the data, the settings and the weights that it began with; another
training never takes it for its own. Imports PyTorch: import it lazily.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Tensors = dict[str, torch.Tensor]

_META: Final = "training"  # all that is no tensor, as JSON, in the file's header


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of one training is kept.

    Attributes:
        path: the file; nothing is kept when None.
    """

    path: Path | None

    def write(self, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
        """Replace what is kept; whoever is killed meanwhile leaves the former state."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        try:
            save_file(own, aside, {_META: json.dumps(meta)})
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)

    def read(self) -> tuple[Tensors, dict[str, Any]] | None:
        """What is kept, on the CPU; None where nothing is that can be read."""
        if self.path is None or not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                meta: dict[str, Any] = json.loads(file.metadata()[_META])
                # Copies: a view would keep the mapped file that is about to be replaced.
                return {name: file.get_tensor(name).clone() for name in file.keys()}, meta  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None  # it only saves time: begin anew

    def remove(self) -> None:
        """Forget it."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def random_state(device: torch.device) -> Tensors:
    """The state of PyTorch's random numbers, on the CPU and on the device."""
    found = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["random.device"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        found["random.device"] = torch.mps.get_rng_state()
    return found


def restore_random_state(tensors: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Go on drawing where `random_state` was asked."""
    torch.set_rng_state(tensors["random.cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.device"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(tensors["random.device"])
