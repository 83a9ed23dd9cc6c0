"""The page of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shelfcheck.report.plain import PlainSection, PlainTable, write_plain
from shelfcheck.report.studies import StudyPart, write_study_part
from shelfcheck.report.wording import plural, words
from shelfcheck.tuning.charts import history_chart, parallel_chart, said, slice_chart

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.tuning.run import TuningResult
    from shelfcheck.tuning.space import Space


def write_page(path: Path, result: TuningResult, space: Space, metric: str, *, best_file: str) -> Path:
    """Write a study as one HTML file that opens offline, and its charts for the report."""
    trials = result.trials
    done = trials.column("state").to_pylist().count("done")
    sentences = [
        f"{plural(trials.num_rows, 'trial')} of {words(space.model)}, {done} to the end.",
    ]
    if result.best_value is not None:
        sentences.append(f"The best is trial {result.best_trial}: {words(metric)} {result.best_value:.4f}.")
    if result.default_value is not None:
        sentences.append(f"The settings that the study began with reach {result.default_value:.4f}.")
    sentences.append(
        "All figures are those of validation products, which no trial learned from, but by which the best "
        "was chosen and by which the model is calibrated. How good the trained model is, evaluate tells."
    )
    tables = []
    if result.best is not None:
        own = getattr(result.best.train, space.model)
        rows = tuple((one.name, said(getattr(own, one.name)), str(one)) for one in space.dimensions)
        tables.append(PlainTable(f"Best settings, in {best_file}", ("Setting", "Best", "Tried"), rows))
    charts = [history_chart(trials, metric)]
    if done:
        charts.append(parallel_chart(trials, space, metric))
    title = f"Tuning {words(space.model)}"
    write_study_part(path.parent, StudyPart(title, tuple(sentences), tuple(charts)))
    slices = tuple(slice_chart(trials, one, metric) for one in space.dimensions)
    return write_plain(
        path,
        title,
        (
            PlainSection("study", "Study", tuple(sentences), tuple(charts), tuple(tables)),
            PlainSection(
                "settings",
                "Setting by setting",
                ("A trial that was stopped early stands at what it had reached by then.",),
                slices,
            ),
        ),
    )
