"""Settings: what can be set, its bounds and its default.

`shelfcheck.toml` holds them by section; command-line flags override the file. All
models are frozen and refuse unknown keys. `validate` reports every error at once, with
the key and what is allowed. `settings_file` reads and writes the file.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - Pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shelfcheck.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Share = Annotated[float, Field(ge=0.0, le=1.0)]

SourceFormat = Literal["pds", "ucsd", "amazon2023", "augmented_manifest", "fasttext", "table"]


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(Section):
    """Where reviews come from and what form they have."""

    format: SourceFormat | None = Field(
        default=None, description="Form of the input; detected from content and name when unset."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="For `table` and `augmented_manifest`: canonical column = column of the file, "
        "e.g. review_body = 'Text'.",
    )
    category: str | None = Field(
        default=None, description="Category of every row whose input names none (a one-category export)."
    )
    marketplace: str | None = Field(
        default=None, description="Marketplace of every row whose input names none, e.g. 'US'."
    )
    label_map: str | None = Field(
        default=None,
        min_length=1,
        description="For `augmented_manifest` and `fasttext`: JSON file of category = number, or the "
        "inverse; label_map.json beside the files or in the folder above when unset.",
    )
    several_labels: Literal["reject", "first"] = Field(
        default="reject",
        description="For the same: rows with more than one label are rejected, or stand for their first.",
    )


class PrepareSettings(Section):
    """Which reviews are kept, and what is written."""

    marketplaces: tuple[str, ...] = Field(
        default=(), description="Keep these marketplaces only; all when empty. Rows without one are kept."
    )
    min_characters: int = Field(default=5, ge=0, description="Keep bodies longer than this many characters.")
    max_characters: int = Field(
        default=5000, ge=1, description="Keep bodies with fewer characters than this."
    )
    length_rule: Literal["fixed", "sd", "quantile"] = Field(
        default="fixed",
        description="`fixed`: the two bounds above; `sd`: mean ± length_sd; `quantile`: length_quantiles.",
    )
    length_sd: float = Field(default=3.0, gt=0, description="Standard deviations kept by length_rule 'sd'.")
    length_quantiles: tuple[Share, Share] = Field(
        default=(0.001, 0.999), description="Quantile range kept by length_rule 'quantile'."
    )
    min_category_share: Share = Field(
        default=0.0, description="Drop categories with a smaller share of the kept rows; 0 keeps all."
    )
    drop_duplicates: bool = Field(
        default=True, description="Drop repeated review ids and exact duplicates, keeping the first."
    )
    max_rejected_share: Share = Field(
        default=0.05, description="Stop when a larger share of the rows read is broken."
    )
    csv: bool = Field(default=False, description="Also write gzip CSV by month.")

    @model_validator(mode="after")
    def _bounds(self) -> PrepareSettings:
        if self.max_characters <= self.min_characters:
            msg = (
                f"max_characters == {self.max_characters}, must be > min_characters == {self.min_characters}"
            )
            raise ValueError(msg)
        if self.length_quantiles[1] <= self.length_quantiles[0]:
            msg = f"length_quantiles == {list(self.length_quantiles)}, the second must be larger"
            raise ValueError(msg)
        return self


class TextSettings(Section):
    """How `review_tokens` are made."""

    stop_words: Literal["english", "none"] = Field(default="english", description="Stop words to drop.")
    extra_stop_words: tuple[str, ...] = Field(default=(), description="More words to drop.")
    stemmer: str | None = Field(
        default=None, description="Snowball stemmer to apply, e.g. 'english'; none when unset."
    )


class SampleSettings(Section):
    """A sample of the prepared reviews."""

    fraction: float = Field(default=0.01, gt=0, le=1, description="Share of the reviews to draw.")
    by: tuple[Literal["review_month", "product_category", "star_rating"], ...] = Field(
        default=("review_month",),
        description="Columns that make the strata; each stratum gets its share, and at least one review.",
    )
    min_category_share: Share = Field(
        default=0.0, description="Draw nothing from categories with a smaller share; 0 draws from all."
    )
    salt: str = Field(
        default="",
        description="Put before each review id whose md5 decides; another salt draws another sample.",
    )
    csv: bool = Field(default=False, description="Also write the sample as CSV.")


class FieldSettings(Section):
    """Which texts of a review a model reads."""

    fields: tuple[Literal["review_headline", "review_body"], ...] = Field(
        default=("review_headline", "review_body"), min_length=1, description="Texts to read."
    )


class EncodingSettings(FieldSettings):
    """How texts become hashed n-grams."""

    word_ngrams: int = Field(default=2, ge=1, le=10, description="Most words in an n-gram.")
    prefixes: tuple[Annotated[int, Field(ge=1, le=32)], ...] = Field(
        default=(),
        max_length=4,
        description="Numbers of letters: the first letters of longer words count as terms, too.",
    )
    hash_bits: int = Field(default=22, ge=10, le=26, description="log2 of the number of n-gram buckets.")


class LinearSettings(EncodingSettings):
    """The `linear` model: hashed n-grams weighted by relevance, multinomial logistic loss, AdaGrad."""

    prefixes: tuple[Annotated[int, Field(ge=1, le=32)], ...] = Field(
        default=(4, 6),
        max_length=4,
        description="Numbers of letters: the first letters of longer words count as terms, too.",
    )
    epochs: int = Field(default=5, ge=1, le=100, description="Passes over the training reviews.")
    learning_rate: float = Field(default=5.0, gt=0, description="First AdaGrad rate; falls to 0 linearly.")
    dropout: float = Field(
        default=0.4, ge=0, lt=1, description="Share of n-grams left out each time a review is met."
    )
    min_document_frequency: int = Field(
        default=2, ge=1, description="Drop n-grams that stand in fewer training reviews."
    )
    idf_power: float = Field(default=0.0, ge=0, le=2, description="Power of the inverse document frequency.")
    relevance_power: float = Field(
        default=0.5,
        ge=0,
        le=2,
        description="Power of how much an n-gram tells about the category; 0 gives all the same weight.",
    )
    rare_class_reviews: int = Field(
        default=1000,
        ge=0,
        description="Reviews of classes with fewer count more: (this / the class's reviews)^½; 0: never.",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="Parts of the reviews that are learned apart and averaged; on Spark, a task each. 1: all "
        "at once.",
    )
    averages: int = Field(
        default=4,
        ge=1,
        le=100,
        description="How often in an epoch shards are averaged; more often is more like all at once, and "
        "sends more between machines.",
    )


class TfidfSvmSettings(FieldSettings):
    """The `tfidf_svm` model: scikit-learn's TF-IDF and linear support vector machine."""

    max_terms: int | None = Field(
        default=None, ge=10, description="Keep this many of the most frequent terms; all when unset."
    )
    word_ngrams: int = Field(default=2, ge=1, le=5, description="Most words in a term.")
    min_document_frequency: int = Field(
        default=2, ge=1, description="Drop terms that stand in fewer training reviews."
    )
    sublinear_tf: bool = Field(
        default=True, description="Weigh a term by 1 + ln(count) instead of its count."
    )
    c: float = Field(default=1.0, gt=0, description="Inverse strength of the regularisation.")
    max_iterations: int = Field(default=1000, ge=1, description="Most iterations of the solver.")


class EmbeddingSettings(EncodingSettings):
    """The `embedding` model: mean of word and n-gram vectors, softmax, as fastText and BlazingText do it."""

    prefixes: tuple[Annotated[int, Field(ge=1, le=32)], ...] = Field(
        default=(4, 6),
        max_length=4,
        description="Numbers of letters: the first letters of longer words count as terms, too.",
    )
    vector_dim: int = Field(default=32, ge=2, le=1000, description="Numbers in a vector.")
    epochs: int = Field(default=5, ge=1, le=200, description="Passes over the training reviews, at most.")
    optimizer: Literal["adagrad", "sgd"] = Field(
        default="adagrad",
        description="`adagrad`: each vector has a rate of its own; `sgd`: one rate, as fastText has it.",
    )
    learning_rate: float = Field(default=2.0, gt=0, description="First rate; falls to 0 linearly.")
    pooling: Literal["norm", "mean"] = Field(
        default="norm",
        description="How vectors of a review are added: weights with an L2 norm of 1, or with a sum of 1.",
    )
    dropout: float = Field(
        default=0.4, ge=0, lt=1, description="Share of n-grams left out each time a review is met."
    )
    relevance_power: float = Field(
        default=0.5,
        ge=0,
        le=2,
        description="Power of how much an n-gram tells about the category; 0 gives all the same weight.",
    )
    min_count: int = Field(
        default=2, ge=1, description="Drop words and n-grams that stand in fewer training reviews."
    )
    buckets: int = Field(
        default=2_000_000,
        ge=1000,
        le=1 << 26,
        description="Most vectors; the n-grams that stand in most reviews get them.",
    )
    early_stopping: bool = Field(
        default=False,
        description="Stop when the accuracy on validation products no longer grows, and keep the best epoch.",
    )
    patience: int = Field(default=4, ge=1, description="Epochs to wait for a better one before stopping.")
    min_epochs: int = Field(default=5, ge=1, description="Epochs before early stopping may stop.")
    named_words: int = Field(
        default=20_000, ge=0, description="Most words kept by name, to be found as neighbours of others."
    )


BLAZINGTEXT: Final = EmbeddingSettings(
    vector_dim=100,
    word_ngrams=2,
    prefixes=(),
    epochs=5,
    optimizer="sgd",
    learning_rate=0.05,
    pooling="mean",
    dropout=0.0,
    relevance_power=0.0,
    min_count=5,
    buckets=2_000_000,
    early_stopping=False,
    patience=4,
    min_epochs=5,
)
"""`embedding` with BlazingText's own algorithm and defaults."""


class TransformerSettings(FieldSettings):
    """The `transformer` model: a pre-trained encoder of texts, fine-tuned. Needs shelfcheck[transformer]."""

    encoder: str = Field(
        default="bert-base-uncased",
        min_length=1,
        description="Name on the Hugging Face hub, or a local folder.",
    )
    max_tokens: int = Field(default=128, ge=8, le=8192, description="Word pieces of a review that are read.")
    batch_size: int = Field(default=32, ge=1, description="Reviews in a step on the device.")
    accumulate: int = Field(default=1, ge=1, description="Steps whose gradients are added up.")
    epochs: float = Field(default=3.0, gt=0, le=100, description="Passes over the training reviews, at most.")
    learning_rate: float = Field(default=5e-5, gt=0, description="Highest rate of AdamW.")
    head_learning_rate: float = Field(
        default=1e-3, gt=0, description="The same for the last layer, which starts from nothing."
    )
    train_layers: int | None = Field(
        default=None,
        ge=0,
        description="Learn the last layers only, this many, and leave the rest of the encoder as it is; "
        "all when unset.",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="Weight decay of AdamW.")
    warmup_share: Share = Field(default=0.06, description="Share of the steps in which the rate rises.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Arithmetic; `auto` takes bfloat16 where the device has it."
    )
    compile: bool | None = Field(default=None, description="Use torch.compile; where it pays when unset.")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps.")
    patience: int = Field(
        default=2, ge=1, description="Evaluations without a better validation loss before stopping."
    )
    evaluations: int = Field(default=2, ge=1, description="Evaluations on validation products in an epoch.")
    validation_reviews: int = Field(default=5000, ge=1, description="Most reviews in one of them.")
    checkpoint_minutes: float = Field(default=10, gt=0, description="Minutes between checkpoints.")


ModelName = Literal["linear", "tfidf_svm", "embedding", "transformer"]
LabelName = Literal[
    "product_category", "star_rating", "product_category_year", "product_category_star_rating"
]


class TrainSettings(Section):
    """What is learned, from which products."""

    model: ModelName = Field(default="linear", description="The model to learn.")
    label: LabelName = Field(default="product_category", description="What is predicted.")
    split: Literal["product", "time", "row"] = Field(
        default="product",
        description="What is held out to evaluate on. `product`: products; `time`: reviews from split_date "
        "on; `row`: any reviews, whose products were then learned from.",
    )
    split_date: dt.date | None = Field(
        default=None, description="First day of the reviews that the `time` split holds out."
    )
    test_share: Share = Field(default=0.2, description="Share of products held out to evaluate on.")
    calibration_share: Share = Field(
        default=0.1, description="Share of products held out to calibrate and validate on."
    )
    min_category_reviews: int = Field(
        default=20, ge=2, description="Classes with fewer reviews are not learned (and are listed)."
    )
    min_class_share: Share = Field(
        default=0.0,
        description="Classes with a smaller share of the reviews are not learned; originally 0.01.",
    )
    update: Literal["retrain", "keep", "continue"] = Field(
        default="retrain",
        description="When reviews are added. `retrain`: learn anew from all; `keep`: models that stand judge "
        "the new ones; `continue`: `linear` models go on learning, from all. Both until the reviews have "
        "grown by more than max_growth.",
    )
    max_growth: float = Field(
        default=0.05,
        gt=0,
        description="Growth of the reviews over which `keep` and `continue` learn anew; 0.1 is a tenth.",
    )
    continue_epochs: int = Field(
        default=2, ge=1, le=100, description="Passes over all training reviews when `continue` goes on."
    )
    linear: LinearSettings = Field(default_factory=LinearSettings)
    tfidf_svm: TfidfSvmSettings = Field(default_factory=TfidfSvmSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    transformer: TransformerSettings = Field(default_factory=TransformerSettings)

    @model_validator(mode="after")
    def _dated(self) -> TrainSettings:
        if self.split == "time" and self.split_date is None:
            raise ValueError("split == 'time' needs split_date, e.g. '2015-01-01'")
        return self


class DecliningSettings(Section):
    """Products whose reviews became worse, or better."""

    min_reviews: int = Field(
        default=30, ge=20, description="Products with fewer dated, starred reviews are not judged."
    )
    max_false_share: Share = Field(
        default=0.1, description="List as many products as leave at most this share false (FDR)."
    )


class AuditSettings(Section):
    """How findings are made."""

    folds: int = Field(default=5, ge=2, le=20, description="Product folds of the out-of-fold predictions.")
    min_score: Share = Field(default=0.1, description="Findings below this probability are not listed.")
    max_findings: int = Field(default=100_000, ge=1, description="Most findings written of one kind.")
    declining: DecliningSettings = Field(default_factory=DecliningSettings)


class LanguageSettings(Section):
    """How the language of categories is compared, by year and by star rating."""

    top_k: int = Field(default=50, ge=5, le=1000, description="Terms that stand for a year or a star rating.")
    word_ngrams: int = Field(
        default=1, ge=1, le=2, description="2: pairs of neighbouring words are terms, too."
    )
    min_reviews: int = Field(
        default=100, ge=2, description="Years and star ratings of a category with fewer reviews are left out."
    )
    min_count: int = Field(default=5, ge=1, description="Leave out terms that a category has less often.")
    max_terms: int = Field(
        default=5000, ge=10, description="Terms of a category that are compared, the most frequent."
    )
    max_reviews: int = Field(
        default=5000,
        ge=100,
        description="Reviews of a year or star rating that are permuted and cut to one size, drawn at "
        "random; terms are counted in all.",
    )
    permutations: int = Field(
        default=199, ge=19, le=100_000, description="Shuffles of a test; p-values reach down to 1/(this + 1)."
    )
    permute: Literal["product", "review"] = Field(
        default="product",
        description="What is shuffled. `product`: reviews within a product, and whole products; `review`: "
        "any reviews, which takes every change of the products for one of the language.",
    )
    draws: int = Field(default=20, ge=2, le=1000, description="How often groups are cut to one size.")
    match_by: Literal["words", "reviews"] = Field(
        default="words", description="What groups that are cut to one size have the same number of."
    )
    prior_words: float = Field(
        default=1000.0,
        gt=0,
        description="Words that the prior of the log odds counts as; with more, fewer rare terms stand out.",
    )
    false_discovery_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Expected share of false ones among the shifts that are told."
    )
    listed_terms: int = Field(
        default=10, ge=1, le=1000, description="Terms told that came, and that went, between two groups."
    )


class GraphAnalysisSettings(Section):
    """The analysis of the review graph. Needs shelfcheck[graph]."""

    model: str = Field(
        default="out_of_fold", min_length=1, description="Whose predictions are laid beside the catalogue."
    )
    max_customer_products: int = Field(
        default=100,
        ge=2,
        description="Customers of more products join none: their pairs grow with the square.",
    )
    min_product_reviews: int = Field(
        default=3, ge=1, description="Products with fewer predicted reviews are not judged."
    )
    min_customers: int = Field(
        default=5,
        ge=1,
        description="Products that fewer customers join to others are not told as between categories.",
    )
    false_discovery_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Expected share of false ones among the confused pairs told."
    )
    listed_pairs: int = Field(default=50, ge=1, description="Confused pairs whose words are told.")
    listed_words: int = Field(default=10, ge=1, description="Words told of a pair.")
    max_between: int = Field(default=1000, ge=1, description="Most products between categories written.")
    max_mismatches: int = Field(
        default=100_000, ge=1, description="Most reviews predicted elsewhere written, the surest first."
    )


class GraphSettings(Section):
    """The review graph."""

    bought: Literal["verified", "all"] = Field(
        default="verified", description="Which reviews say that their customer bought the product."
    )
    predicted_categories: int = Field(
        default=3, ge=1, le=100, description="Categories of a prediction that become edges, likeliest first."
    )
    index_memory: str = Field(
        default="2GB",
        pattern=r"^\d+(\.\d+)?(KB|MB|GB|TB)$",
        description="Memory of the embedded Cypher index; 10 million reviews need 2GB.",
    )
    analysis: GraphAnalysisSettings = Field(default_factory=GraphAnalysisSettings)


class ReportSettings(Section):
    """What the report shows."""

    max_findings: int = Field(
        default=200, ge=1, le=5000, description="Findings of one kind shown in the page; files hold all."
    )


class ServeSettings(Section):
    """The prediction endpoint. Needs shelfcheck[serve]."""

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for every network."
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    label_prefix: Literal["", "__label__"] = Field(
        default="", description="What stands before labels where a request does not say."
    )
    max_body_mb: float = Field(default=6.0, gt=0, description="Largest body of a request, in MB.")
    max_instances: int = Field(default=10_000, ge=1, description="Most reviews in a request.")
    timeout_seconds: float = Field(
        default=60.0, gt=0, description="A request whose body or prediction takes longer is given up."
    )
    stop_seconds: float = Field(
        default=30.0, gt=0, description="How long requests may take to finish when the server stops."
    )
    reload_seconds: float = Field(
        default=1.0, gt=0, description="How often it is looked whether another version was promoted."
    )
    batch_reviews: int = Field(
        default=64, ge=1, description="Most reviews of waiting requests that are predicted together; 1: none."
    )
    max_waiting: int = Field(
        default=20_000, ge=1, description="Most reviews that wait for their turn; beyond, requests get a 503."
    )


class SparkSettings(Section):
    """The Spark engine. Needs shelfcheck[spark]."""

    master: str = Field(
        default="local[*]",
        min_length=1,
        description="local[*], local[4], spark://HOST:7077, yarn, k8s://…; under spark-submit its own holds.",
    )
    memory: str = Field(
        default="2g",
        pattern=r"^\d+[mg]$",
        description="Memory of Java: of the driver on a local master, of each executor on a cluster.",
    )
    exchange: str | None = Field(
        default=None,
        description="Folder or URL (s3://…) that all machines reach, for files that tasks leave one another; "
        "in the workspace when unset.",
    )
    partitions: int = Field(
        default=0, ge=0, le=100_000, description="Partitions of a shuffle; 0: by the rows, as far as known."
    )
    conf: dict[str, str] = Field(
        default_factory=dict,
        description="Any of Spark's own settings, e.g. conf = {'spark.executor.cores' = '4'}.",
    )


class RunSettings(Section):
    """Resources and reproducibility."""

    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="What runs the relational work. Stages without a Spark form run on this machine.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of every random choice.")
    threads: int = Field(default=0, ge=0, le=1024, description="Worker threads; 0 takes all processors.")
    memory_limit: str = Field(
        default="1GB",
        pattern=r"^\d+(\.\d+)?(KB|MB|GB|TB)$",
        description="Memory that the relational engine may use before it spills to disk.",
    )
    incremental: bool = Field(
        default=True,
        description="Read only new files where that gives the same as all; keeps some 40 bytes a review.",
    )


class Settings(Section):
    """All settings of a workspace."""

    source: SourceSettings = Field(default_factory=SourceSettings)
    prepare: PrepareSettings = Field(default_factory=PrepareSettings)
    text: TextSettings = Field(default_factory=TextSettings)
    sample: SampleSettings = Field(default_factory=SampleSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    language: LanguageSettings = Field(default_factory=LanguageSettings)
    graph: GraphSettings = Field(default_factory=GraphSettings)
    report: ReportSettings = Field(default_factory=ReportSettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    run: RunSettings = Field(default_factory=RunSettings)
    spark: SparkSettings = Field(default_factory=SparkSettings)


def validate(values: Mapping[str, Any], where: str = "settings") -> Settings:
    """Settings from plain nested values.

    Args:
        values: sections as nested mappings; what is absent keeps its default.
        where: where they come from, for errors.

    Raises:
        ConfigError: values are wrong; every error is named, with its key and what is allowed.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, where)) from error


def flatten(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield (dotted key, value, description) of every setting."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, field.description or ""


def _explain(error: ValidationError, where: str) -> str:
    lines = [f"{where}: {error.error_count()} setting(s) are wrong:"]
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"  {key}: no such setting. {_nearest(key)}")
        else:
            # A rule over several settings names them itself; the section's values would drown it.
            told = f"{key}:" if item["type"] == "value_error" else f"{key} == {item['input']!r}, must be"
            message = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            lines.append(f"  {told} {message}")
    lines.append("`shelfcheck config` lists every setting with its default.")
    return "\n".join(lines)


def _nearest(key: str) -> str:
    import difflib  # noqa: PLC0415 - only on the way to an error

    known = [name for name, _, _ in flatten(Settings())]
    close = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean {close[0]}?" if close else ""
