"""The report: what was found and how far to believe it, in one HTML file that opens offline."""

from __future__ import annotations

from shelfcheck.report.inputs import ReportInputs, StageTime
from shelfcheck.report.page import render, write_report

__all__ = ["ReportInputs", "StageTime", "render", "write_report"]
