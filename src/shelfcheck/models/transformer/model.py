"""The `transformer` model: what is learned, stored and asked. See the package's other modules for how."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from shelfcheck.__about__ import __version__
from shelfcheck.config import TextSettings, TransformerSettings
from shelfcheck.errors import NotEnoughDataError, ShelfcheckError, WorkspaceError
from shelfcheck.models.base import Model, read_card, write_card
from shelfcheck.models.calibration import Calibration
from shelfcheck.models.transformer.device import Runtime, require_extra
from shelfcheck.models.transformer.device import threads as torch_threads
from shelfcheck.models.transformer.texts import iter_joined, separator, tokenise, tokenise_rows
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings
    from shelfcheck.models.base import Explanation
    from shelfcheck.models.examples import Examples
    from shelfcheck.models.transformer.network import Classifier
    from shelfcheck.models.transformer.training import Texts
    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float32]

FORMAT: Final = 1
_HEAD: Final = "head.safetensors"
_CARD_KEYS: Final = ("model", "format", "version", "categories", "settings", "text", "calibration")


@dataclass(frozen=True, eq=False)
class TransformerModel(Model):
    """A fine-tuned encoder.

    Attributes:
        categories: the classes it knows, sorted.
        net: encoder and last layer.
        tokenizer: the encoder's own.
        settings: how it was learned.
        text: how tokens are made elsewhere; the encoder reads the text itself.
        calibration: how logits become probabilities.
        facts: more for the card: rows, seed, losses, seconds.
    """

    categories: tuple[str, ...]
    net: Classifier = field(repr=False)
    tokenizer: Any = field(repr=False)
    settings: TransformerSettings
    text: TextSettings = field(default_factory=TextSettings)
    calibration: Calibration = field(default_factory=Calibration)
    facts: dict[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "transformer"
    most_held: ClassVar[int] = 5000  # two numbers are found on them, and a processor reads tens a second

    @classmethod
    def learn(
        cls,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        held: npt.NDArray[np.integer[Any]],
        settings: Settings,
        progress: Progress,
        *,
        checkpoint: Checkpoint | None = None,  # noqa: ARG003 - it keeps its own beside the texts
    ) -> TransformerModel:
        """Fine-tune the encoder; see `Model.learn`.

        A seed gives the same model on one thread of one processor. A run that was killed goes on from its
        last checkpoint if `examples.cache` names a folder, and ends with the same weights.

        Raises:
            NotEnoughDataError: fewer than two classes have reviews.
            MissingExtraError: PyTorch or Transformers is not installed.
            UsageError: device, precision, pieces or layers are not to be had.
            ShelfcheckError: the encoder cannot be loaded, or the loss is not a number.
        """
        require_extra()
        import torch  # noqa: PLC0415 - loads for seconds

        from shelfcheck.models.transformer.checkpoint import Checkpoint  # noqa: PLC0415
        from shelfcheck.models.transformer.network import Classifier, open_encoder  # noqa: PLC0415
        from shelfcheck.models.transformer.training import Texts, Trainer, facts  # noqa: PLC0415

        own, seed = settings.train.transformer, settings.run.seed
        present = np.unique(examples.label[rows])
        if len(present) < 2:
            raise NotEnoughDataError(
                f"{len(present)} class has reviews to learn from, must be >= 2. "
                "Add reviews of other classes, or lower train.min_category_reviews."
            )
        place = np.full(len(examples.categories), -1, np.int64)
        place[present] = np.arange(len(present))
        held = held[place[examples.label[held]] >= 0]
        if len(held) > own.validation_reviews:  # spread over all, whatever their order
            held = held[np.linspace(0, len(held) - 1, own.validation_reviews).astype(np.int64)]
        runtime = Runtime.of(own)
        devices = [runtime.device] if runtime.device.type == "cuda" else []
        with torch_threads(settings.run.threads), torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            encoder, tokenizer = open_encoder(own.encoder, max_tokens=own.max_tokens)
            net = Classifier(encoder, len(present))
            net.train_only(own.train_layers)
            progress.start("Cutting into word pieces", len(rows) + len(held), "reviews")
            learned, kept = (
                Texts(
                    tokenise_rows(
                        tokenizer,
                        examples.texts,
                        own.fields,
                        part,
                        max_tokens=own.max_tokens,
                        progress=progress,
                    ),
                    place[examples.label[part]],
                )
                for part in (rows, held)
            )
            progress.finish()
            path = None
            if examples.cache is not None:
                name = _fingerprint(net, learned, kept, settings, runtime)
                path = examples.cache / f"transformer-{name}.safetensors"
            trainer = Trainer(
                net.to(runtime.device),
                learned,
                kept,
                own,
                runtime,
                seed=seed,
                checkpoint=Checkpoint(path),
                pad=_pad(tokenizer),
            )
            trainer.run(progress)
            trainer.checkpoint.remove()
        told = {"reviews": len(rows), "seed": seed, **facts(trainer)}
        names = tuple(examples.categories[i] for i in present)
        return cls(names, net, tokenizer, own, settings.text, facts=told)

    # Predicting

    def logits_of(
        self,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        threads: int = 0,
        progress: Progress | None = None,
    ) -> Floats:
        """Logits of some of the reviews. (m, categories)."""
        texts = iter_joined(examples.texts, self.settings.fields, separator(self.tokenizer), rows)
        return self.logits(texts, len(rows), threads, progress)

    def logits_batch(self, batch: pa.RecordBatch | pa.Table, threads: int = 0) -> Floats:
        """Logits of a batch of reviews, prepared or canonical. (n, categories)."""
        texts = iter_joined(batch, self.settings.fields, separator(self.tokenizer))
        return self.logits(texts, batch.num_rows, threads)

    def logits(
        self, chunks: Iterable[list[str]], n: int, threads: int = 0, progress: Progress | None = None
    ) -> Floats:
        """Logits of texts as `texts.joined` makes them; memory holds a chunk of them.

        Args:
            chunks: the texts in lists, n in all; each list is sorted by length for itself.
            n: number of texts.
            threads: of PyTorch; 0 takes all processors.
            progress: told the texts done.

        Returns:
            float32 (n, categories).
        """
        from shelfcheck.models.transformer.training import score  # noqa: PLC0415 - loads PyTorch

        told = progress or NullProgress()
        out = np.empty((n, len(self.categories)), np.float32)
        runtime = Runtime.of(self.settings, fall_back=True)
        most, first = self.settings.max_tokens, 0
        told.start("Predicting", n, "reviews")
        with torch_threads(threads):
            net = self.net.to(runtime.device)
            for texts in chunks:
                tokens = tokenise(self.tokenizer, texts, most)
                out[first : first + len(texts)] = score(
                    net, tokens, runtime, pad=_pad(self.tokenizer), most=most, progress=told
                )
                first += len(texts)
        told.finish()
        return out

    def explain(
        self,
        headline: str | None,
        body: str | None,
        category: str | None = None,
        against: str | None = None,
        *,
        k: int = 10,
    ) -> Explanation:
        """What each word adds, approximately; see `explain.explain`."""
        from shelfcheck.models.transformer.explain import explain  # noqa: PLC0415 - it imports this module

        return explain(self, headline, body, category, against, k=k)

    # Storing

    def card(self) -> dict[str, Any]:
        """What the model is, from what it was made and how."""
        return {
            "model": self.name,
            "format": FORMAT,
            "version": __version__,
            "categories": list(self.categories),
            "settings": self.settings.model_dump(mode="json"),
            "text": self.text.model_dump(mode="json"),
            "calibration": self.calibration.to_json(),
            **self.facts,
        }

    def save(self, folder: str | Path) -> None:
        """Write the encoder and its tokenizer as Transformers does, `head.safetensors` and `card.json`.

        `AutoModel.from_pretrained(folder)` reads the fine-tuned encoder, e.g. to fine-tune it further.
        """
        from safetensors.torch import save_file  # noqa: PLC0415 - loads PyTorch

        from shelfcheck.models.transformer.network import quiet  # noqa: PLC0415

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        with quiet():
            self.net.encoder.save_pretrained(home)  # type: ignore[operator]
            self.tokenizer.save_pretrained(home)
        head = {name: one.detach().cpu().contiguous() for name, one in self.net.head.state_dict().items()}
        save_file(head, home / _HEAD)
        write_card(home, self.card())

    @classmethod
    def load(cls, folder: str | Path) -> TransformerModel:
        """Read what `save` wrote, without the network.

        Raises:
            WorkspaceError: it is missing, broken or of another version.
            MissingExtraError: PyTorch or Transformers is not installed.
        """
        home = Path(folder)
        card = read_card(home, cls.name, FORMAT)
        require_extra()
        from safetensors import SafetensorError  # noqa: PLC0415
        from safetensors.torch import load_file  # noqa: PLC0415

        from shelfcheck.models.transformer.network import Classifier, open_encoder  # noqa: PLC0415

        try:
            encoder, tokenizer = open_encoder(str(home))
            net = Classifier(encoder, len(card["categories"]))
            net.head.load_state_dict(load_file(home / _HEAD))
            net.eval()
            return cls(
                categories=tuple(card["categories"]),
                net=net,
                tokenizer=tokenizer,
                settings=TransformerSettings.model_validate(card["settings"]),
                text=TextSettings.model_validate(card["text"]),
                calibration=Calibration.from_json(card["calibration"]),
                facts={name: value for name, value in card.items() if name not in _CARD_KEYS},
            )
        except (ShelfcheckError, OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
            raise WorkspaceError(
                f"{home}: no model that can be read ({error}). Train one with: "
                "shelfcheck train --model transformer"
            ) from error


def _pad(tokenizer: Any) -> int:
    """The piece that fills up; it is masked, so any will do where the encoder has none."""
    return int(tokenizer.pad_token_id or 0)


def _fingerprint(net: Classifier, learned: Texts, held: Texts, settings: Settings, runtime: Runtime) -> str:
    """Of all that the weights in the end depend on: first weights, texts, classes, settings, arithmetic."""
    found = hashlib.sha256()
    own = settings.train.transformer.model_dump_json(exclude={"encoder", "device", "checkpoint_minutes"})
    found.update(f"{FORMAT} {settings.run.seed} {runtime.device.type} {runtime.dtype} {own}".encode())
    for texts in (learned, held):
        for array in (texts.tokens.ids, texts.tokens.indptr, texts.labels):
            found.update(np.ascontiguousarray(array).data)
    for parameter in net.parameters():
        found.update(parameter.detach().cpu().contiguous().numpy().data)
    return found.hexdigest()[:16]
