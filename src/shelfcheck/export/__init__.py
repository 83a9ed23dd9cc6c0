"""Prepared reviews as labelled texts for other trainers: SageMaker's BlazingText and fastText."""

from __future__ import annotations

from shelfcheck.export.labelled import LabelledExport, Prepared, export_labelled, plan_labelled
from shelfcheck.export.options import FORMS, Options

__all__ = ["FORMS", "LabelledExport", "Options", "Prepared", "export_labelled", "plan_labelled"]
