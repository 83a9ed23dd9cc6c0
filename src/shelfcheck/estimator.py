"""`ReviewClassifier`: the models of Shelfcheck as a scikit-learn estimator.

    from shelfcheck.estimator import ReviewClassifier

    classifier = ReviewClassifier("linear").fit(texts, categories, groups=product_ids)
    classifier.predict_proba(["The strings stay in tune"])

It takes raw texts and does all that `shelfcheck train` does with them: tokens, learning, and calibration on
products of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from shelfcheck.config import EncodingSettings, validate
from shelfcheck.errors import WorkspaceError
from shelfcheck.models import split
from shelfcheck.models.examples import Examples
from shelfcheck.models.kinds import load_model
from shelfcheck.models.ngrams import thread_count
from shelfcheck.models.train import fit_calibrated
from shelfcheck.schema import PRODUCT_CATEGORY, PRODUCT_ID, REVIEW_BODY, REVIEW_HEADLINE, REVIEW_ID
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.config import ModelName, Settings
    from shelfcheck.models.base import Explanation, Model

FILE: Final = "estimator.json"
_NESTED: Final = "settings__"
_FORMAT: Final = 1


class ReviewClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """Any model of Shelfcheck as a scikit-learn classifier of raw texts.

    Args:
        model: `linear`, `tfidf_svm`, `embedding` or `transformer`.
        fields: the texts to read, of `review_headline` and `review_body`; the model's default when None.
        settings: further settings of the model by name, as under `[train.linear]`; `set_params` and grid
            searches reach one as `settings__epochs`.
        text: how tokens are made, as under `[text]`, e.g. `{"stemmer": "english"}`.
        calibration_share: share of the products (of the texts, where no products are known) that
            probabilities are calibrated on, and that are not learned from; 0..1.
        random_state: int, `RandomState` or None; None is 0.
        n_jobs: threads; None is 1, -1 all processors.

    Attributes:
        classes_: the labels, sorted, (classes).
        model_: the trained model.
    """

    def __init__(
        self,
        model: ModelName = "linear",
        *,
        fields: Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        text: Mapping[str, Any] | None = None,
        calibration_share: float = 0.1,
        random_state: int | np.random.RandomState | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.fields = fields
        self.settings = settings
        self.text = text
        self.calibration_share = calibration_share
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803 - scikit-learn's names
        """Learn and calibrate.

        Args:
            X: texts, (n): a list, an array or a pandas Series; or a table (pandas, Polars, Arrow) with the
                columns `review_headline`, `review_body` or one of them, and perhaps `product_id`.
            y: labels, (n).
            groups: product of each text, (n), so that none is learned from and calibrated on; the column
                `product_id` of X where it has one.

        Raises:
            ValueError: X, y and groups do not fit together, or there are fewer than two classes.
            ConfigError: a setting is wrong.
            MissingExtraError: the model needs an extra that is not installed.
        """
        table = _table(X)
        labels = _labels(y, table.num_rows)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has {len(self.classes_)} class, must have >= 2.")
        names = [str(value) for value in self.classes_.tolist()]
        if len(set(names)) < len(names):
            raise ValueError("y has labels that differ in type only, e.g. 1 and '1'.")
        state = self.random_state
        given = isinstance(state, int | np.integer)
        seed = int(state) if given else 0 if state is None else int(check_random_state(state).randint(2**31))  # type: ignore[arg-type]
        settings = self._settings(seed)
        table = _with_labels(table, names, codes, groups)
        # Shuffled: models that learn row by row forget what came first.
        table = table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))
        own = getattr(settings.train, settings.train.model)
        # Where the model does not read n-grams, single words are the least to make.
        spec = own if isinstance(own, EncodingSettings) else EncodingSettings(word_ngrams=1, hash_bits=10)
        examples = Examples.of_table(table, spec, settings.text, settings.run.threads)
        # Without groups, copies of a text stay on one side.
        said = table.column(REVIEW_BODY if REVIEW_BODY in table.schema.names else REVIEW_HEADLINE)
        bucket = split.buckets(
            table.column(PRODUCT_ID).combine_chunks(),
            table.column(REVIEW_ID).combine_chunks(),
            "" if seed == 0 else str(seed),
            texts=said.combine_chunks(),
        )
        self.model_: Model = fit_calibrated(examples, settings, bucket)
        self._place = _place(self.model_, names)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Calibrated probabilities, float64 (n, classes), in the order of `classes_`."""
        check_is_fitted(self, "model_")
        table = _table(X)
        logs = self.model_.predict_batch(table, thread_count(_threads(self.n_jobs)))
        # A class too rare to be learned has no column of its own there.
        found = np.zeros((table.num_rows, len(self.classes_)))
        known = self._place >= 0
        found[:, known] = np.exp(logs.astype(np.float64))[:, self._place[known]]
        found /= found.sum(axis=1, keepdims=True)
        return found

    def predict_log_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logs: np.ndarray = np.log(self.predict_proba(X))
        return logs

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The likeliest class of each text, (n)."""
        best = self.predict_proba(X).argmax(axis=1)
        found: np.ndarray = self.classes_[best]
        return found

    def explain(
        self,
        text: str | None,
        headline: str | None = None,
        category: Any = None,
        against: Any = None,
        *,
        k: int = 10,
    ) -> Explanation:
        """The words of one text that speak for one class against another; see `models.base.Model.explain`.

        Args:
            text: the body.
            headline: its headline.
            category: a class; the predicted one when None.
            against: another; the likeliest other when None.
            k: most words to name.
        """
        check_is_fitted(self, "model_")
        names = [None if one is None else str(one) for one in (category, against)]
        return self.model_.explain(headline, text, *names, k=k)

    # Storing

    def save(self, folder: str | Path) -> None:
        """Write the model as `shelfcheck train` does, and `estimator.json` with parameters and classes."""
        check_is_fitted(self, "model_")
        self.model_.save(folder)
        params = self.get_params(deep=False)
        if not isinstance(params["random_state"], int):
            params["random_state"] = None
        values = {
            "format": _FORMAT,
            "params": params,
            "classes": self.classes_.tolist(),
            "dtype": "object" if self.classes_.dtype == object else self.classes_.dtype.str,
        }
        text = json.dumps(values, indent=2, ensure_ascii=False, default=list) + "\n"
        write_atomically(Path(folder) / FILE, text)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote, or any model that `shelfcheck train` made.

        Raises:
            WorkspaceError: there is no model, or it cannot be read.
        """
        model = load_model(folder)
        file = Path(folder) / FILE
        if not file.exists():
            found = cls(model=model.name)  # type: ignore[arg-type] # it is one of them
            found.classes_ = np.array(model.categories)
        else:
            try:
                values = json.loads(file.read_text(encoding="utf-8"))
                found = cls(**values["params"])
                found.classes_ = np.array(values["classes"], dtype=np.dtype(values["dtype"]))
            except (OSError, KeyError, TypeError, ValueError) as error:
                raise WorkspaceError(
                    f"{file}: cannot be read ({error}). Save the classifier again."
                ) from error
        found.model_ = model
        found._place = _place(model, [str(value) for value in found.classes_.tolist()])
        return found

    # What scikit-learn asks

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - scikit-learn's signature
        """Parameters by name; with `deep`, the model's settings too, as `settings__epochs`."""
        params: dict[str, Any] = super().get_params(deep=False)
        if deep and isinstance(self.settings, Mapping):  # what it must be is told by `fit`
            params |= {_NESTED + name: value for name, value in self.settings.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; `settings__epochs=3` sets one of the model's settings and keeps the others."""
        plain = {name: value for name, value in params.items() if not name.startswith(_NESTED)}
        super().set_params(**plain)
        nested = {
            name.removeprefix(_NESTED): value for name, value in params.items() if name.startswith(_NESTED)
        }
        if nested:
            self.settings = {**(self.settings or {}), **nested}
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True  # a missing text has no words
        tags.target_tags.required = True
        tags.non_deterministic = thread_count(_threads(self.n_jobs)) > 1
        return tags

    def _settings(self, seed: int) -> Settings:
        own = dict(self.settings or {})
        if self.fields is not None:
            own["fields"] = list(self.fields)
        train: dict[str, Any] = {
            "model": self.model,
            "test_share": 0.0,
            "calibration_share": self.calibration_share,
            "min_category_reviews": 2,
        }
        # The name is checked with the rest, so that all errors are told at once.
        train |= {self.model: own} if own else {}
        run = {"seed": seed, "threads": _threads(self.n_jobs)}
        return validate({"train": train, "text": dict(self.text or {}), "run": run}, "ReviewClassifier")


def _threads(n_jobs: int | None) -> int:
    """scikit-learn's `n_jobs` as threads; 0 stands for all."""
    if n_jobs is None:
        return 1
    if n_jobs == 0:
        raise ValueError("n_jobs == 0, must be a number of threads, or -1 for all processors.")
    return n_jobs if n_jobs > 0 else max(1, thread_count(0) + 1 + n_jobs)


def _table(texts: Any) -> pa.Table:
    """Headlines, bodies and products as Arrow, whatever they were."""
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return pa.table({REVIEW_BODY: texts.cast(pa.string())})
    if hasattr(texts, "__arrow_c_stream__") and not hasattr(texts, "str"):  # a table and no Series
        table = pa.table(texts)
    elif hasattr(texts, "columns") and hasattr(texts, "to_dict"):  # a pandas that knows no Arrow
        table = pa.Table.from_pandas(texts, preserve_index=False)
    else:
        return pa.table({REVIEW_BODY: _strings(texts)})
    names = [name for name in (REVIEW_HEADLINE, REVIEW_BODY) if name in table.schema.names]
    if not names:
        raise ValueError(
            f"X has the columns {', '.join(table.schema.names)}, "
            f"must have {REVIEW_HEADLINE} or {REVIEW_BODY}."
        )
    columns = {name: table.column(name).cast(pa.string()) for name in names}
    if PRODUCT_ID in table.schema.names:
        columns[PRODUCT_ID] = table.column(PRODUCT_ID).cast(pa.string())
    return pa.table(columns)


def _strings(texts: Any) -> pa.Array:
    if isinstance(texts, str):
        raise ValueError("X is one string, must be a list of them: [text].")  # noqa: TRY004 - scikit-learn's kind
    values = np.asarray(texts, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]  # a one-column selection, as ColumnTransformer gives it
    if values.ndim != 1:
        raise ValueError(f"X has {values.ndim} dimensions, must have 1: a text a row; or be a table.")
    plain = [None if value is None or value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN
    wrong = next((value for value in plain if value is not None and not isinstance(value, str)), None)
    if wrong is not None:
        raise ValueError(f"X holds a {type(wrong).__name__}, must hold texts.")
    return pa.array(plain, pa.string())


def _labels(y: Any, n: int) -> np.ndarray:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None.")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != n:
        raise ValueError(f"y has the shape {labels.shape}, must have ({n},): one label a text.")
    if n == 0:
        raise ValueError("X has 0 texts, must have some.")
    if labels.dtype == object:
        missing = [value is None or value != value for value in labels.tolist()]  # noqa: PLR0124 - NaN
        if any(missing):
            raise ValueError(f"y lacks {sum(missing)} of {n} labels, must have all.")
        if all(isinstance(value, str) for value in labels.tolist()):
            labels = labels.astype(str)
    check_classification_targets(labels)
    return labels


def _with_labels(table: pa.Table, names: Sequence[str], codes: np.ndarray, groups: Any) -> pa.Table:
    n = table.num_rows
    if groups is not None:
        products = pa.array([None if group is None else str(group) for group in groups], pa.string())
        if len(products) != n:
            raise ValueError(f"groups has {len(products)} products, must have {n}: one a text.")
    elif PRODUCT_ID in table.schema.names:
        products = table.column(PRODUCT_ID)
    else:
        products = pa.nulls(n, pa.string())
    columns = {
        REVIEW_ID: pa.array([str(i) for i in range(n)], pa.string()),
        PRODUCT_ID: products,
        PRODUCT_CATEGORY: pa.array(names, pa.string()).take(pa.array(codes)),
    }
    texts = {name: table.column(name) for name in table.schema.names if name != PRODUCT_ID}
    return pa.table(columns | texts)


def _place(model: Model, names: Sequence[str]) -> np.ndarray:
    """Column of each class among the model's, -1 for one that it did not learn. (classes)."""
    where = {name: i for i, name in enumerate(model.categories)}
    return np.array([where.get(name, -1) for name in names])
