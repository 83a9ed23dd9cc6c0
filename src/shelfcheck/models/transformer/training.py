"""Fine-tuning: AdamW with warm-up and linear decay, early stopping, checkpoints.

Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019. Imports PyTorch: import it lazily.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from shelfcheck.errors import ShelfcheckError
from shelfcheck.models.transformer.batches import padded, prediction_batches, training_batches
from shelfcheck.models.transformer.checkpoint import random_state, restore_random_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.config import TransformerSettings
    from shelfcheck.models.transformer.checkpoint import Checkpoint
    from shelfcheck.models.transformer.device import Runtime
    from shelfcheck.models.transformer.network import Classifier
    from shelfcheck.models.transformer.texts import Tokens
    from shelfcheck.progress import Progress

_CLIP: Final = 1.0  # longest gradient, L2


class Texts(NamedTuple):
    """Texts and their classes.

    Attributes:
        tokens: word pieces, (n).
        labels: int64 (n), 0..classes-1.
    """

    tokens: Tokens
    labels: npt.NDArray[np.int64]


@dataclass
class State:
    """How far a training is: all that is neither weights nor moments.

    Attributes:
        step: updates of the weights that were made.
        losses: validation loss by evaluation, mean nats a review.
        best_step: updates made at the lowest of them.
        waited: evaluations since.
        seconds: time of training so far, of all runs.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    best_step: int = 0
    waited: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """How many updates there are, and at which rate.

    Attributes:
        reviews: reviews in an epoch.
        settings: `batch_size`, `accumulate`, `epochs`, `warmup_share`, `evaluations` are read.
    """

    reviews: int
    settings: TransformerSettings

    @property
    def epoch_steps(self) -> int:
        """Updates in an epoch."""
        batches = -(-self.reviews // self.settings.batch_size)
        return -(-batches // self.settings.accumulate)

    @property
    def steps(self) -> int:
        """Updates in all, if nothing stops them earlier."""
        return max(1, math.ceil(self.settings.epochs * self.epoch_steps))

    def share_of_rate(self, step: int) -> float:
        """What the rates of update `step` (0..steps-1) are multiplied by: up, and down to nearly 0."""
        rising = round(self.settings.warmup_share * self.steps)
        if step < rising:
            return (step + 1) / rising
        return (self.steps - step) / max(1, self.steps - rising)

    def evaluates_after(self, step: int) -> bool:
        """Whether the held reviews are looked at once `step` updates (1..steps) are made."""
        # As evenly as whole updates allow: whenever another part of the epoch is full.
        parts, size = self.settings.evaluations, self.epoch_steps
        return step == self.steps or step * parts // size > (step - 1) * parts // size


class Trainer:
    """One fine-tuning.

    Args:
        net: the network, on the device; it is changed.
        learned: what it learns from.
        held: what it is stopped early by; may have no text.
        settings: rates, epochs and the like.
        runtime: device and precision.
        seed: of the order of the texts; PyTorch's own seed is the caller's.
        checkpoint: where the state is kept.
        pad: the piece that fills up.
    """

    def __init__(
        self,
        net: Classifier,
        learned: Texts,
        held: Texts,
        settings: TransformerSettings,
        runtime: Runtime,
        *,
        seed: int,
        checkpoint: Checkpoint,
        pad: int,
    ) -> None:
        self.net, self.learned, self.held = net, learned, held
        self.settings, self.runtime, self.seed = settings, runtime, seed
        self.checkpoint, self.pad = checkpoint, pad
        self.plan = Plan(len(learned.labels), settings)
        self.state = State()
        self.best: dict[str, torch.Tensor] = {}
        self._epoch = (-1, list[np.ndarray]())
        self._scaler = torch.amp.GradScaler(runtime.device.type, enabled=runtime.dtype == torch.float16)
        self._forward = torch.compile(net, dynamic=True) if runtime.compiled else net

    def run(self, progress: Progress) -> State:
        """Learn until the plan is done or the held reviews are predicted no better; keeps the best weights.

        Raises:
            ShelfcheckError: the loss is not a number.
        """
        progress.start("Fine-tuning", self.plan.steps * self._per_step, "reviews")
        if self._resume():
            progress.advance(self.state.step * self._per_step)
        began = time.perf_counter() - self.state.seconds
        written = time.perf_counter()
        while self.state.step < self.plan.steps and self.state.waited < self.settings.patience:
            self._update(self._batches_of(self.state.step))
            self.state.step += 1
            # Evaluated before the checkpoint, so that a resumed run does not do it again.
            if len(self.held.labels) and self.plan.evaluates_after(self.state.step):
                self._evaluate()
            progress.advance(self._per_step, evaluations=len(self.state.losses))
            self.state.seconds = time.perf_counter() - began
            if time.perf_counter() - written >= 60 * self.settings.checkpoint_minutes:
                self._keep()
                written = time.perf_counter()
        if self.best:
            with torch.no_grad():
                for name, parameter in self._trained.items():
                    parameter.copy_(self.best[name])
        self.net.eval()
        progress.finish()
        return self.state

    @property
    def _per_step(self) -> int:
        return min(self.settings.batch_size * self.settings.accumulate, self.plan.reviews)

    @cached_property
    def _trained(self) -> dict[str, torch.nn.Parameter]:
        return {name: one for name, one in self.net.named_parameters() if one.requires_grad}

    @cached_property
    def _optimiser(self) -> torch.optim.AdamW:
        groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
        for name, one in self._trained.items():
            # Norms and biases are vectors; they are not decayed.
            groups.setdefault((name.startswith("head."), one.ndim > 1), []).append(one)
        return torch.optim.AdamW(
            [
                {
                    "params": group,
                    "weight_decay": self.settings.weight_decay if decayed else 0.0,
                    "rate": self.settings.head_learning_rate if head else self.settings.learning_rate,
                }
                for (head, decayed), group in groups.items()
            ],
            lr=0.0,
        )

    def _batches_of(self, step: int) -> list[np.ndarray]:
        epoch, place = divmod(step, self.plan.epoch_steps)
        if self._epoch[0] != epoch:
            lengths = self.learned.tokens.lengths
            self._epoch = epoch, training_batches(lengths, self.settings.batch_size, self.seed, epoch)
        each = self.settings.accumulate
        return self._epoch[1][place * each : (place + 1) * each]

    def _update(self, batches: list[np.ndarray]) -> None:
        """Change the weights by the mean gradient over the reviews of some batches."""
        self.net.train()  # always: what was just loaded has its dropout off
        reviews = sum(len(batch) for batch in batches)
        for batch in batches:
            with self.runtime.autocast():
                scores = self._forward(*self._inputs(self.learned.tokens, batch))
            labels = self.runtime.put(self.learned.labels[batch])
            loss = functional.cross_entropy(scores.float(), labels, reduction="sum") / reviews
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        share = self.plan.share_of_rate(self.state.step)
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * share
        self._scaler.unscale_(self._optimiser)
        torch.nn.utils.clip_grad_norm_(self._trained.values(), _CLIP)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad(set_to_none=True)

    def _evaluate(self) -> None:
        loss = self._held_loss()
        if not math.isfinite(loss):
            raise ShelfcheckError(
                f"The validation loss is {loss} after {self.state.step} updates. Lower "
                "train.transformer.learning_rate, or set train.transformer.precision to 'float32'."
            )
        better = not self.state.losses or loss < min(self.state.losses)
        self.state.losses.append(loss)
        self.state.waited = 0 if better else self.state.waited + 1
        if better:
            self.state.best_step = self.state.step
            self.best = {name: one.detach().cpu().clone() for name, one in self._trained.items()}

    def _held_loss(self) -> float:
        scores = score(self.net, self.held.tokens, self.runtime, pad=self.pad, most=self.settings.max_tokens)
        labels = torch.from_numpy(self.held.labels)
        return float(functional.cross_entropy(torch.from_numpy(scores).double(), labels))

    def _inputs(self, tokens: Tokens, places: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        ids, mask = padded(
            tokens, places, self.pad, multiple=self.runtime.multiple, most=self.settings.max_tokens
        )
        return self.runtime.put(ids), self.runtime.put(mask)

    # The state on disk

    def _keep(self) -> None:
        tensors: dict[str, torch.Tensor] = {f"weight.{name}": one for name, one in self._trained.items()}
        tensors |= {f"best.{name}": one for name, one in self.best.items()}
        for name, one in self._trained.items():
            for key, value in self._optimiser.state.get(one, {}).items():
                tensors[f"moment.{key}.{name}"] = value
        tensors |= random_state(self.runtime.device)
        self.checkpoint.write(tensors, {"state": asdict(self.state), "scaler": self._scaler.state_dict()})

    def _resume(self) -> bool:
        kept = self.checkpoint.read()
        if kept is None:
            return False
        tensors, meta = kept
        with torch.no_grad():
            for name, one in self._trained.items():
                one.copy_(tensors[f"weight.{name}"])
        self.best = {name: tensors[f"best.{name}"] for name in self._trained if f"best.{name}" in tensors}
        for name, one in self._trained.items():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"moment.{key}.{name}")
                if value is not None:  # AdamW counts its steps on the CPU
                    self._optimiser.state[one][key] = value if key == "step" else value.to(one.device)
        self._scaler.load_state_dict(meta["scaler"])
        restore_random_state(tensors, self.runtime.device)
        self.state = State(**meta["state"])
        return True


def score(
    net: Classifier,
    tokens: Tokens,
    runtime: Runtime,
    *,
    pad: int,
    most: int,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Scores of texts, whatever their order, float32 (n, classes).

    Args:
        net: the network, on the device.
        tokens: the texts.
        runtime: device and precision.
        pad: the piece that fills up.
        most: most pieces of a text.
        progress: told the texts done.
    """
    net.eval()
    out = np.empty((len(tokens), net.head.out_features), np.float32)
    with torch.inference_mode(), runtime.autocast():
        for places in prediction_batches(tokens.lengths, runtime.prediction_tokens):
            ids, mask = padded(tokens, places, pad, multiple=runtime.multiple, most=most)
            out[places] = net(runtime.put(ids), runtime.put(mask)).float().cpu().numpy()
            if progress is not None:
                progress.advance(len(places))
    return out


def facts(trainer: Trainer) -> dict[str, Any]:
    """What the card tells of a training that was run."""
    state = trainer.state
    return {
        "updates": state.step,
        "updates_planned": trainer.plan.steps,
        "updates_kept": state.best_step or state.step,
        "validation_losses": [round(loss, 5) for loss in state.losses],
        "validation_reviews": len(trainer.held.labels),
        "fine_tuning_seconds": round(state.seconds, 1),
        "parameters": sum(one.numel() for one in trainer.net.parameters()),
        "parameters_trained": sum(one.numel() for one in trainer._trained.values()),
        "device": trainer.runtime.describe(),
        # The commit of the hub's repository, where it came from there.
        "encoder_revision": getattr(trainer.net.encoder.config, "_commit_hash", None),
    }
