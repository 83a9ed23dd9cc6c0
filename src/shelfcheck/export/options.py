"""How an export of labelled texts looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from shelfcheck import schema
from shelfcheck.errors import UsageError

if TYPE_CHECKING:
    from shelfcheck.config import Settings

Form: TypeAlias = Literal["augmented-manifest", "fasttext"]
LabelForm: TypeAlias = Literal["numbers", "names"]
FORMS: Final[tuple[str, ...]] = get_args(Form)
CARRIED: Final = tuple(
    name for name in schema.REVIEW_SCHEMA.names if name not in {schema.REVIEW_BODY, schema.PRODUCT_CATEGORY}
)
"""Columns of a review that can be written beside its text and label."""


@dataclass(frozen=True)
class Options:
    """How an export looks.

    Attributes:
        form: `augmented-manifest` or `fasttext`.
        fields: texts of a review, joined in this order; None takes those that the model reads.
        labels: `numbers` or `names`; None takes numbers for a manifest and names for fastText.
        columns: columns of a review to write beside, which BlazingText does not read; a manifest's alone.
        compress: gzip each file.
        max_bytes: a file is closed once it holds as many bytes, before gzip; None writes one a side.
    """

    form: Form
    fields: tuple[str, ...] | None = None
    labels: LabelForm | None = None
    columns: tuple[str, ...] = ()
    compress: bool = False
    max_bytes: int | None = None

    @property
    def ending(self) -> str:
        """How names of files end."""
        return (".jsonl" if self.form == "augmented-manifest" else ".txt") + (".gz" if self.compress else "")

    def checked(self, settings: Settings) -> Options:
        """The options with every default filled in.

        Raises:
            UsageError: one is wrong.
        """
        if self.form not in FORMS:
            raise UsageError(f"{self.form!r} is no form of export; choose one of {', '.join(FORMS)}.")
        if self.columns and self.form == "fasttext":
            raise UsageError("A fastText file holds labels and texts alone. Leave the columns away.")
        wrong = [name for name in self.columns if name not in CARRIED]
        if wrong:
            raise UsageError(f"{wrong[0]}: cannot be written beside; choose from {', '.join(CARRIED)}.")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise UsageError("A file must hold at least one byte: choose a larger size.")
        fields = self.fields or tuple(getattr(settings.train, settings.train.model).fields)
        readable = (schema.REVIEW_HEADLINE, schema.REVIEW_BODY)
        if len(set(fields)) < len(fields) or set(fields) - set(readable):
            raise UsageError(f"fields == {list(fields)}, must be one or both of {', '.join(readable)}.")
        labels = self.labels or ("numbers" if self.form == "augmented-manifest" else "names")
        columns = tuple(dict.fromkeys(self.columns))
        return Options(self.form, fields, labels, columns, self.compress, self.max_bytes)
