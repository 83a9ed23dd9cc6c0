"""What the artefacts say is read, ordered, and refused with the file's name where it is not theirs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import report_factory as factory

from shelfcheck.errors import WorkspaceError
from shelfcheck.report.facts import by_support, fill_months, read_evaluation, read_intake, read_json
from shelfcheck.report.findings import read_findings
from shelfcheck.report.wording import about, number, percent, plural

if TYPE_CHECKING:
    from pathlib import Path


def test_intake(tmp_path: Path) -> None:
    inputs = factory.write_inputs(tmp_path, findings=2)
    assert inputs.prepared is not None
    intake = read_intake(inputs.prepared / "summary.json")
    assert intake.read == intake.kept + intake.filtered_rows + intake.rejected_rows
    assert intake.filtered[0] == ("repeated_review_id", 2210)
    assert intake.undated > 10_000
    assert sum(n for _, n in intake.months) + intake.undated == intake.kept
    assert intake.categories == tuple(sorted(intake.categories, key=lambda one: -one[1]))


def test_months_without_reviews_are_there() -> None:
    assert fill_months({"2019-11": 1, "2020-02": 4}) == (
        ("2019-11", 1),
        ("2019-12", 0),
        ("2020-01", 0),
        ("2020-02", 4),
    )
    assert fill_months({}) == ()


def test_evaluation_by_support(tmp_path: Path) -> None:
    evaluation = factory.evaluated({"A": 400, "B": 4000, "C": 10}, 0)
    path = tmp_path / "evaluation.json"
    path.write_text(evaluation.to_json(), encoding="utf-8")
    assert read_evaluation(path) == evaluation
    assert [name for name, _ in by_support(evaluation)] == ["B", "A"]  # no held-out review stands in C


@pytest.mark.parametrize("read", [read_intake, read_evaluation, read_json])
@pytest.mark.parametrize("content", [None, b"", b"[1]", b"\xff", b'"x"', b"3"])
def test_wrong_files_are_named(tmp_path: Path, read: object, content: bytes | None) -> None:
    path = tmp_path / "some.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"some\.json.*again"):
        read(path)  # type: ignore[operator]


@pytest.mark.parametrize("read", [read_intake, read_evaluation])
def test_objects_of_another_kind_are_refused(tmp_path: Path, read: object) -> None:
    path = tmp_path / "some.json"
    path.write_text("{}")
    with pytest.raises(WorkspaceError, match=r"some\.json"):
        read(path)  # type: ignore[operator]


def test_findings_show_the_first_and_count_all(tmp_path: Path) -> None:
    rows = factory.misplaced(300)
    findings = read_findings(factory.write_misplaced(tmp_path / "f", rows), 7)
    assert [row["rank"] for row in findings.rows] == list(range(1, 8))
    assert findings.total == 300
    assert findings.expected == pytest.approx(sum(row["score"] for row in rows))
    assert sum(pair.findings for pair in findings.pairs) == 300
    assert sum(pair.expected for pair in findings.pairs) == pytest.approx(findings.expected)
    assert sum(n for _, n in findings.scores) == 300
    assert findings.pairs[0].expected == max(pair.expected for pair in findings.pairs)


def test_scores_on_a_bound_go_into_the_upper_bin(tmp_path: Path) -> None:
    rows = [
        row | {"score": score}
        for row, score in zip(factory.misplaced(4), (1.0, 0.95, 0.9, 0.55), strict=True)
    ]
    findings = read_findings(factory.write_misplaced(tmp_path / "f", rows), 7)
    assert dict(findings.scores)[0.95] == 2
    assert dict(findings.scores)[0.9] == 1
    assert findings.scores[0] == (0.55, 1)


def test_no_findings(tmp_path: Path) -> None:
    findings = read_findings(factory.write_misplaced(tmp_path / "f", []), 7)
    assert (findings.total, findings.rows, findings.scores, findings.pairs) == (0, (), (), ())


@pytest.mark.parametrize("broken", ["missing", "not parquet", "other columns"])
def test_broken_findings_are_named(tmp_path: Path, broken: str) -> None:
    folder = factory.write_misplaced(tmp_path / "f", factory.misplaced(3))
    file = folder / "findings.parquet"
    file.unlink()
    if broken == "not parquet":
        file.write_bytes(b"PAR1 but no")
    elif broken == "other columns":
        pq.write_table(pa.table({"a": [1]}), file)
    with pytest.raises(WorkspaceError, match="Run the audit again"):
        read_findings(folder, 5)


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.0, 0, "0 %"),
        (0.004, 0, "<1 %"),
        (0.005, 0, "<1 %"),
        (0.5, 0, "50 %"),
        (0.994, 0, "99 %"),
        (0.9951, 0, ">99 %"),
        (1.0, 0, "100 %"),
        (0.99951, 1, ">99.9 %"),
        (0.123, 1, "12.3 %"),
    ],
)
def test_percent_never_claims_a_whole(share: float, digits: int, text: str) -> None:
    assert percent(share, digits).replace("\u202f", " ") == text


def test_numbers() -> None:
    assert number(1234567) == "1,234,567"
    assert [about(n) for n in (0, 0.2, 0.6, 1200)] == ["about 0", "fewer than one", "about 1", "about 1,200"]
    assert plural(1, "review") == "1 review"
    assert plural(2, "review") == "2 reviews"


def test_inputs_are_frozen(tmp_path: Path) -> None:
    inputs = factory.write_inputs(tmp_path, findings=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        inputs.title = "other"  # type: ignore[misc]


def test_made_up_findings_have_the_columns_of_the_audits() -> None:
    from shelfcheck.audit.miscategorised_products import SCHEMA as MISCATEGORISED
    from shelfcheck.audit.misplaced_reviews import SCHEMA as MISPLACED

    assert set(factory.MISPLACED.names) == set(MISPLACED.names)
    assert set(factory.MISCATEGORISED.names) == set(MISCATEGORISED.names)
