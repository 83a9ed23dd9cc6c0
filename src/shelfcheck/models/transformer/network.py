"""The network: an encoder, the mean of its states, a linear layer. Imports PyTorch: import it lazily."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from shelfcheck.errors import ShelfcheckError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DROPOUT = 0.1


class Classifier(nn.Module):
    """Scores of classes for texts.

    The states of all pieces are averaged: unlike the state of the first piece, their mean says something in
    any encoder before it is fine-tuned, and sentence encoders are trained for it.
    """

    def __init__(self, encoder: nn.Module, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(int(encoder.config.hidden_size), classes)  # type: ignore[union-attr, arg-type]
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores float32 (B, classes) of pieces int64 (B, T), of which those with mask 1 count."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()  # (B, T, H)
        weight = mask.unsqueeze(-1).float()
        mean = (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        with torch.autocast(ids.device.type, enabled=False):  # small, and what the loss is taken of
            scores: torch.Tensor = self.head(self.dropout(mean))
        return scores

    def train_only(self, layers: int | None) -> None:
        """Leave all of the encoder as it is but its last `layers` layers; learn all of it when None.

        Raises:
            UsageError: the encoder has fewer layers, or none can be told.
        """
        for name, parameter in self.encoder.named_parameters():
            # The pooler of BERT and its kin is not used here.
            parameter.requires_grad_(layers is None and not name.startswith("pooler."))
        if not layers:
            return
        stacks = [
            module
            for module in self.encoder.modules()
            if isinstance(module, nn.ModuleList) and len(module) == self.encoder.config.num_hidden_layers  # type: ignore[union-attr]
        ]
        if len(stacks) != 1 or layers > len(stacks[0]):
            most = len(stacks[0]) if len(stacks) == 1 else "unknown"
            raise UsageError(
                f"train.transformer.train_layers == {layers}, must be <= the encoder's layers ({most}). "
                "Leave it unset to learn all of them."
            )
        for layer in list(stacks[0])[-layers:]:
            layer.requires_grad_(requires_grad=True)


def open_encoder(name: str, *, max_tokens: int = 0) -> tuple[Any, Any]:
    """A pre-trained encoder and its tokenizer, from the hub or a folder. Runs no code that lies with them.

    Args:
        name: name on the hub, or a folder.
        max_tokens: pieces that it must be able to read.

    Raises:
        ShelfcheckError: it cannot be had.
        UsageError: it is no encoder, or reads fewer pieces.
    """
    try:
        encoder, tokenizer = _read(name)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ShelfcheckError(
            f"train.transformer.encoder == {name!r}: cannot be loaded ({first}). Name a model of the Hugging "
            "Face hub with safetensors weights, e.g. 'bert-base-uncased', or a local folder that has "
            "config.json, model.safetensors and the tokenizer's files. Without a network, download it "
            "elsewhere (hf download NAME --local-dir FOLDER) and name the folder."
        ) from error
    if getattr(encoder.config, "is_encoder_decoder", False) or not hasattr(encoder.config, "hidden_size"):
        raise UsageError(
            f"train.transformer.encoder == {name!r}: a {encoder.config.model_type} model, must be an encoder "
            "of texts such as BERT, RoBERTa, DeBERTa or ModernBERT."
        )
    most = _most_tokens(encoder, tokenizer)
    if max_tokens > most:
        raise UsageError(f"train.transformer.max_tokens == {max_tokens}, must be <= {most} for {name}.")
    return encoder, tokenizer


def _read(name: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415 - loads for seconds

    local = Path(name).is_dir()
    options = {"local_files_only": local, "trust_remote_code": False}
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        # float32 whatever the file has: weights are learned in it, products are cast where it pays.
        encoder = AutoModel.from_pretrained(name, use_safetensors=True, dtype=torch.float32, **options)
    return encoder, tokenizer


def _most_tokens(encoder: Any, tokenizer: Any) -> int:
    """Pieces that it can read: positions that it knows, less those before the first in RoBERTa's kin."""
    positions = getattr(encoder.config, "max_position_embeddings", None) or 1 << 30
    if encoder.config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet", "xmod", "longformer"}:
        positions -= (encoder.config.pad_token_id or 0) + 1
    return int(min(positions, tokenizer.model_max_length))


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's own bars and its remarks on layers that are not used here."""
    from transformers.utils import logging  # noqa: PLC0415

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
