"""Reviews added to encoded ones: the same bytes as from all of them, whatever was there and what comes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from review_corpus import reviews
from shelfcheck import api
from shelfcheck.checkpoints import Checkpoint
from shelfcheck.config import validate
from shelfcheck.models import encode as module
from shelfcheck.models import encode_parts
from shelfcheck.models.encode import encode
from shelfcheck.models.encode_added import Before, SameKeyError, count_added, iter_added
from shelfcheck.pipeline import ENCODED, run_stages
from shelfcheck.prepare import iter_prepared
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
from shelfcheck.workspace import Workspace

SETTINGS = validate({"run": {"threads": 1}, "train": {"linear": {"hash_bits": 16}}})
REVIEWS = reviews(400)
MONTHS = ("2015-01", "2015-02", "2015-03")


def lay(folder: Path, files: dict[tuple[str, int], pa.Table]) -> Path:
    """Prepared reviews: month and number of a file -> its rows."""
    for (month, number), table in files.items():
        home = folder / "reviews" / f"review_month={month}"
        home.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.drop_columns(["review_month"]), home / f"part-{number:05d}.parquet")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@st.composite
def arrivals(draw):
    """Old and new files of reviews, the new ones sometimes behind old rows of their file."""
    n = draw(st.integers(1, 400))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # 0: none; 1: in a file of its own; 2: behind old rows, in one file with them.
    kinds = random.choice(
        3, n, p=draw(st.sampled_from([(1, 0, 0), (0.9, 0.1, 0), (0.4, 0.3, 0.3), (0, 1, 0)]))
    )
    month = random.integers(0, len(MONTHS), n)
    rows = REVIEWS.take(pa.array(random.permutation(400)[:n]))
    if draw(st.booleans()):  # an old category may come later than a new one, and have none before
        column = pc.if_else(pa.array(kinds > 0), "A category that is new", rows["product_category"])
        rows = rows.set_column(rows.schema.get_field_index("product_category"), "product_category", column)
    old, new, added = {}, {}, {}
    for place, name in enumerate(MONTHS):
        parts = [rows.filter(pa.array((month == place) & (kinds == kind))) for kind in range(3)]
        if parts[0].num_rows:
            old[name, 0] = parts[0]
        if parts[0].num_rows + parts[2].num_rows:
            new[name, 0] = pa.concat_tables([parts[0], parts[2]])
        if parts[2].num_rows:
            added[f"reviews/review_month={name}/part-00000.parquet"] = parts[0].num_rows
        if parts[1].num_rows:
            new[name, 1] = parts[1]
            added[f"reviews/review_month={name}/part-00001.parquet"] = 0
    return old, new, added, draw(st.sampled_from([7, 60, 1000])), draw(st.sampled_from([5, 33, 1000]))


@hypothesis_settings(deadline=None, max_examples=25)
@given(arrivals())
def test_the_same_bytes_as_from_all(arrived):
    old, new, added, part_rows, segment_rows = arrived
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        home = Path(scratch)
        all_of_them = lay(home / "new", new)
        assert count_added(all_of_them, added) == sum(t.num_rows for t in new.values()) - sum(
            t.num_rows for t in old.values()
        )
        if old:
            encode(lay(home / "old", old), home / "before", SETTINGS)
        patch.setattr(module, "_PART_ROWS", part_rows)
        patch.setattr(module, "_SEGMENT_ROWS", segment_rows)
        whole = encode(all_of_them, home / "whole", SETTINGS)
        if not old:
            return
        read = []
        made = encode_parts.field_tokens
        patch.setattr(encode_parts, "field_tokens", lambda b, *a: read.append(b.num_rows) or made(b, *a))
        encode(all_of_them, home / "added", SETTINGS, before=Before(home / "before", added))
        assert sum(read) == count_added(all_of_them, added)
        assert content(home / "added") == content(home / "whole")
        ids = [
            name
            for batch in iter_added(all_of_them, added, ["review_id"], 9)
            for name in batch[0].to_pylist()
        ]
        before = {name for table in old.values() for name in table["review_id"].to_pylist()}
        everything = [
            name for batch in iter_prepared(all_of_them, ["review_id"]) for name in batch[0].to_pylist()
        ]
        assert ids == [name for name in everything if name not in before]
        assert whole.n_rows == len(everything)


@pytest.fixture
def two(tmp_path) -> tuple[Path, Before]:
    """Prepared reviews, and those of them that were encoded before."""
    half = REVIEWS.slice(0, 250)
    encode(lay(tmp_path / "old", {("2015-01", 0): half}), tmp_path / "before", SETTINGS)
    both = lay(tmp_path / "new", {("2015-01", 0): half, ("2015-01", 1): REVIEWS.slice(250)})
    return both, Before(tmp_path / "before", {"reviews/review_month=2015-01/part-00001.parquet": 0})


def test_stopped_anywhere_it_goes_on(two, tmp_path, monkeypatch):
    both, before = two
    monkeypatch.setattr(module, "_PART_ROWS", 70)
    monkeypatch.setattr(module, "_SEGMENT_ROWS", 40)
    encode(both, tmp_path / "whole", SETTINGS)

    class Stops(NullProgress):
        left = 0

        def advance(self, n: int, **counters: int) -> None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    stops, progress = 0, Stops()
    for after in (2, 4, 6, 3, 100):
        progress.left = after
        try:
            encode(
                both,
                tmp_path / "out",
                SETTINGS,
                progress,
                before=before,
                checkpoint=Checkpoint(tmp_path / "k", 0),
            )
        except KeyboardInterrupt:
            stops += 1
        else:
            break
    assert stops >= 3
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_one_id_twice_is_encoded_from_all(tmp_path):
    """Which of the two comes first follows from where they stand, not from their key."""
    old, new = REVIEWS.slice(0, 30), REVIEWS.slice(29, 30)
    encode(lay(tmp_path / "old", {("2015-02", 0): old}), tmp_path / "before", SETTINGS)
    both = lay(tmp_path / "new", {("2015-02", 0): old, ("2015-01", 0): new})
    before = Before(tmp_path / "before", {"reviews/review_month=2015-01/part-00000.parquet": 0})
    encode(both, tmp_path / "whole", SETTINGS)
    raised = []
    encode_parts_gather = module.gather

    def gather(*given_):
        try:
            return encode_parts_gather(*given_)
        except SameKeyError:
            raised.append(True)
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "gather", gather)
        encode(both, tmp_path / "added", SETTINGS, before=before)
    assert raised
    assert content(tmp_path / "added") == content(tmp_path / "whole")


def test_rows_that_are_not_all_there_are_encoded_from_all(two, tmp_path):
    both, before = two
    encode(both, tmp_path / "out", SETTINGS, before=before._replace(added={}))
    encode(both, tmp_path / "whole", SETTINGS)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_run_encodes_only_what_is_new(tmp_path, monkeypatch):
    api.generate(tmp_path / "all", reviews=600, seed=5)
    table = pq.read_table(tmp_path / "all" / "reviews-00000.parquet")
    files = [tmp_path / f"{name}.parquet" for name in "abc"]
    for file, first, end in zip(files, (0, 450, 520), (450, 520, 600), strict=True):
        pq.write_table(table.slice(first, end - first), file)
    read = []
    made = encode_parts.field_tokens
    monkeypatch.setattr(encode_parts, "field_tokens", lambda b, *a: read.append(b.num_rows) or made(b, *a))

    def run(workspace, sources, *, full=False, incremental=True):
        settings = validate({"run": {"threads": 1, "incremental": incremental}})
        read.clear()
        found = find_sources(sources, settings.source)
        result = run_stages(
            Workspace(workspace), settings, NullProgress(), [ENCODED], sources=found, full=full
        )
        return result.stage(ENCODED), sum(read)

    run(tmp_path / "w", files[:1])
    for upto in (2, 3):  # one after the other
        added, new = run(tmp_path / "w", files[:upto])
        whole, rows = run(tmp_path / f"full-{upto}", files[:upto])
        assert 0 < new < rows / 4
        assert added.folder.name == whole.folder.name
        assert content(added.folder) == content(whole.folder)
    run(tmp_path / "v", files[:1])
    assert run(tmp_path / "v", files[:2], incremental=False)[1] > 400
