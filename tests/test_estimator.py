from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from review_corpus import reviews
from shelfcheck.errors import ConfigError, WorkspaceError
from shelfcheck.estimator import ReviewClassifier

TABLE = reviews(1200)
BODIES = TABLE["review_body"].to_pylist()
LABELS = np.array(TABLE["product_category"].to_pylist())
PRODUCTS = [product or f"alone {i}" for i, product in enumerate(TABLE["product_id"].to_pylist())]
SMALL = {"linear": {"hash_bits": 14}, "tfidf_svm": {}, "embedding": {"hash_bits": 14, "vector_dim": 8}}


def classifier(model="linear", **values):
    settings = SMALL[model] | values.pop("settings", {})
    return ReviewClassifier(model, settings=settings, **values)


@pytest.mark.parametrize("model", SMALL)
def test_learns_and_predicts(model):
    fitted = classifier(model).fit(BODIES, LABELS, groups=PRODUCTS)
    assert fitted.classes_.tolist() == ["Books", "Grocery", "Luggage", "Watches"]
    found = fitted.predict_proba(["author chapter prose novel", "suitcase wheel handle zipper", "", None])
    assert found.shape == (4, 4)
    assert found.sum(axis=1) == pytest.approx(1)
    assert fitted.predict(["author chapter prose novel"]).tolist() == ["Books"]
    assert fitted.score(BODIES, LABELS) > 0.7
    told = fitted.explain("author chapter prose", category="Books", against="Watches", k=3)
    assert (told.category, told.against, len(told.terms)) == ("Books", "Watches", 3)


def test_learns_what_the_stages_learn():
    # The same reviews, products and shares as `train`: the accuracy is that of the model itself.
    fitted = classifier().fit(BODIES, LABELS, groups=PRODUCTS)
    assert fitted.model_.name == "linear"
    assert 0 < fitted.model_.calibration.reviews < 400
    assert fitted.model_.facts["training_reviews"] + fitted.model_.calibration.reviews == len(BODIES)


@pytest.mark.parametrize("kind", ["list", "array", "series", "frame", "table", "column", "chunked"])
def test_texts_of_any_kind(kind):
    pd = pytest.importorskip("pandas")
    bodies = {
        "list": BODIES,
        "array": np.array(BODIES, dtype=object),
        "series": pd.Series(BODIES, index=range(5, 5 + len(BODIES))),
        "frame": pd.DataFrame({"review_body": BODIES, "stars": 5}),
        "table": TABLE.select(["review_body"]),
        "column": np.array(BODIES, dtype=object)[:, None],
        "chunked": TABLE["review_body"],
    }[kind]
    expected = classifier().fit(BODIES, LABELS)
    fitted = classifier().fit(bodies, LABELS)
    assert np.array_equal(fitted.predict_proba(bodies), expected.predict_proba(BODIES))


def test_headlines_and_products_are_taken_from_a_table():
    table = TABLE.select(["review_headline", "review_body"])
    with_products = table.append_column("product_id", pa.array(PRODUCTS))
    one = classifier().fit(table, LABELS, groups=PRODUCTS)
    two = classifier().fit(with_products, LABELS)
    assert np.array_equal(one.predict_proba(table), two.predict_proba(with_products))
    bodies = classifier(fields=["review_body"]).fit(table, LABELS, groups=PRODUCTS)
    assert not np.array_equal(one.predict_proba(table), bodies.predict_proba(table))


def test_no_product_is_learned_from_and_calibrated_on():
    products = ["one"] * 600 + ["two"] * 600
    fitted = classifier(calibration_share=0.4).fit(BODIES, LABELS, groups=products)
    # Whole products only: 0, 600 or 1200 reviews.
    assert fitted.model_.facts["training_reviews"] % 600 == 0


def test_no_text_is_learned_from_and_calibrated_on():
    # Every text four times: the copies of each are all learned from, or all calibrated on.
    bodies = [f"{BODIES[i]} number{i}" for i in range(300)] * 4
    fitted = classifier().fit(bodies, np.tile(LABELS[:300], 4))
    assert fitted.model_.calibration.reviews % 4 == 0
    headlines = classifier().fit(pa.table({"review_headline": bodies}), np.tile(LABELS[:300], 4))
    assert headlines.model_.calibration.reviews == fitted.model_.calibration.reviews > 0


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [([3, 20, 100, 7], "i"), ([0.5, 2.0, 10.0, 11.0], "f"), (["b", "a", "10", "9"], "U")],
)
def test_labels_keep_their_kind_and_order(labels, dtype, tmp_path):
    names = sorted(set(LABELS.tolist()))
    y = np.array(labels)[[names.index(one) for one in LABELS.tolist()]]
    if dtype == "f":
        with pytest.raises(ValueError, match="continuous"):
            classifier().fit(BODIES, y)
        return
    fitted = classifier().fit(BODIES, y)
    assert fitted.classes_.tolist() == sorted(labels)
    assert fitted.classes_.dtype.kind == dtype
    assert fitted.score(BODIES, y) > 0.7
    fitted.save(tmp_path)
    again = ReviewClassifier.load(tmp_path)
    assert np.array_equal(again.predict(BODIES[:50]), fitted.predict(BODIES[:50]))
    assert again.classes_.dtype == fitted.classes_.dtype


def test_parameters_can_be_read_set_and_cloned():
    first = ReviewClassifier("tfidf_svm", settings={"c": 0.5}, n_jobs=2)
    assert first.get_params()["settings__c"] == 0.5
    assert "settings__c" not in first.get_params(deep=False)
    second = clone(first).set_params(settings__max_terms=99, n_jobs=1)
    assert second.settings == {"c": 0.5, "max_terms": 99}
    assert first.settings == {"c": 0.5}
    with pytest.raises(ValueError, match="Invalid parameter"):
        first.set_params(nonsense=1)
    assert "settings={'c': 0.5}" in repr(first)


def test_in_a_pipeline_cross_validated_by_product():
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = Pipeline([("lower", lower), ("model", classifier())])
    scores = cross_val_score(pipeline, BODIES, LABELS, groups=PRODUCTS, cv=GroupKFold(3))
    assert len(scores) == 3
    assert scores.min() > 0.5


def test_grid_search_over_settings():
    search = GridSearchCV(
        classifier(), {"settings__epochs": [1, 3], "calibration_share": [0.1]}, cv=GroupKFold(2)
    )
    search.fit(BODIES, LABELS, groups=PRODUCTS)
    assert search.best_params_["settings__epochs"] in {1, 3}
    assert search.best_estimator_.model_.settings.epochs == search.best_params_["settings__epochs"]


def test_table_in_cross_validation():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"review_headline": TABLE["review_headline"].to_pylist(), "review_body": BODIES})
    frame["product_id"] = PRODUCTS
    assert cross_val_score(classifier(), frame, LABELS, groups=PRODUCTS, cv=GroupKFold(2)).min() > 0.5


@pytest.mark.parametrize("model", SMALL)
def test_saved_pickled_and_loaded(model, tmp_path):
    fitted = classifier(model, random_state=3).fit(BODIES, LABELS)
    expected = fitted.predict_proba(BODIES[:50])
    fitted.save(tmp_path)
    again = ReviewClassifier.load(tmp_path)
    assert again.get_params(deep=False) == fitted.get_params(deep=False)
    assert np.array_equal(again.predict_proba(BODIES[:50]), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(BODIES[:50]), expected)  # noqa: S301
    (tmp_path / "estimator.json").unlink()  # then it is as `shelfcheck train` leaves it
    assert np.array_equal(ReviewClassifier.load(tmp_path).predict_proba(BODIES[:50]), expected)
    (tmp_path / "estimator.json").write_text("{}")
    with pytest.raises(WorkspaceError, match=r"estimator\.json"):
        ReviewClassifier.load(tmp_path)


def test_seeds():
    same, other = (classifier(random_state=s).fit(BODIES, LABELS).predict_proba(BODIES) for s in (0, 1))
    assert np.array_equal(same, classifier(random_state=None).fit(BODIES, LABELS).predict_proba(BODIES))
    assert not np.array_equal(same, other)
    state = np.random.RandomState(4)
    classifier(random_state=state).fit(BODIES, LABELS)


def test_a_class_too_rare_to_be_learned_has_no_chance():
    labels = LABELS.astype(object)
    labels[7] = "Once"
    fitted = classifier().fit(BODIES, labels)
    found = fitted.predict_proba(BODIES[:20])
    assert fitted.classes_.tolist() == ["Books", "Grocery", "Luggage", "Once", "Watches"]
    assert not found[:, 3].any()
    assert found.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("x", "y", "groups", "told"),
    [
        ("one text", ["a"], None, "one string"),
        ([1.5, 2.5], ["a", "b"], None, "holds a float"),
        (np.zeros((2, 3)), ["a", "b"], None, "2 dimensions"),
        (["a", "b"], None, None, "requires y to be passed"),
        (["a", "b"], ["a"], None, "one label a text"),
        (["a", "b"], ["a", "a"], None, "must have >= 2"),
        (["a", "b"], ["a", None], None, "lacks 1 of 2"),
        ([], [], None, "0 texts"),
        (["a", "b"], ["a", "b"], ["p"], "one a text"),
        (pa.table({"text": ["a", "b"]}), ["a", "b"], None, "must have review_headline or review_body"),
    ],
)
def test_wrong_input_is_a_value_error(x, y, groups, told):
    with pytest.raises(ValueError, match=told):
        classifier().fit(x, y, groups=groups)


def test_wrong_settings_are_told():
    with pytest.raises(ConfigError, match=r"train\.linear\.epohs: no such setting"):
        ReviewClassifier(settings={"epohs": 3}).fit(BODIES, LABELS)
    with pytest.raises(ConfigError, match=r"train\.model"):
        ReviewClassifier("nonsense").fit(BODIES, LABELS)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        ReviewClassifier(n_jobs=0).fit(BODIES, LABELS)
    with pytest.raises(ValueError, match="requires y"):
        ReviewClassifier().fit(BODIES, None)
    with pytest.raises(NotFittedError):
        ReviewClassifier().predict(BODIES)


def test_scikit_learns_own_checks():
    """Those of `check_estimator` that feed no numbers."""
    from sklearn.utils import estimator_checks as checks

    name, estimator = "ReviewClassifier", ReviewClassifier()
    for check in (
        checks.check_no_attributes_set_in_init,
        checks.check_parameters_default_constructible,
        checks.check_get_params_invariance,
        checks.check_set_params,
        checks.check_estimator_cloneable,
        checks.check_estimator_repr,
        checks.check_estimator_tags_renamed,
        checks.check_valid_tag_types,
        checks.check_mixin_order,
    ):
        check(name, clone(estimator))
