"""The registry: immutable versions of trained models, aliases for those in use, and who changed what.

    models/
      versions/<model>-<n>/   the model's files, evaluation.json, held_out.parquet, version.json
      aliases.json            alias -> version; replaced in one step
      history.jsonl           a line a change, appended to and never rewritten

A version is written aside and renamed, its files read-only and listed with their SHA-256 in
`version.json`, so that a killed registration leaves nothing that looks like a version. `champion` is
what predicts unless another is named, `challenger` what may follow it; both may be kept for a second
label as well, as `champion:star_rating`. The registry has a lock of its own: a rollback need not wait
for a training that holds the workspace.
"""

from __future__ import annotations

from shelfcheck.models.registry.history import Change
from shelfcheck.models.registry.registry import ALIASES_FILE, CHALLENGER, CHAMPION, FOLDER, Registry
from shelfcheck.models.registry.version import Version

__all__ = ["ALIASES_FILE", "CHALLENGER", "CHAMPION", "FOLDER", "Change", "Registry", "Version"]
