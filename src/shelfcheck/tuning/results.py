"""What a study leaves: the best settings as a file for `train --config`, every trial as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from shelfcheck.settings_file import render
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from shelfcheck.config import Settings
    from shelfcheck.tuning.space import Space

BEST: Final = "best.toml"
WHY: Final = "why"
SECONDS: Final = "seconds"
_STATES: Final = {"COMPLETE": "done", "PRUNED": "stopped early", "FAIL": "interrupted"}


def trials_table(study: Study, space: Space) -> pa.Table:
    """Every finished trial: number, state, value, seconds, the value at each step, and its settings.

    `value` is that of the last step, null for a trial that was stopped early; `value_1`, `value_3` and
    `value_9` are those at a ninth, a third and all of the training products.
    """
    from shelfcheck.tuning.objective import STEPS  # noqa: PLC0415 - loads the models

    rows = []
    for trial in study.get_trials(deepcopy=False):
        if not trial.state.is_finished():
            continue
        row: dict[str, Any] = {
            "trial": trial.number,
            "state": _STATES[trial.state.name],
            "value": trial.value if trial.state.name == "COMPLETE" else None,
            "seconds": trial.user_attrs.get(SECONDS),
            "started": trial.datetime_start,
            "why": trial.user_attrs.get(WHY),
        }
        row |= {f"value_{step}": trial.intermediate_values.get(step) for step in STEPS}
        row |= {one.name: trial.params.get(one.name) for one in space.dimensions}
        rows.append(row)
    columns = [
        ("trial", pa.int64()), ("state", pa.string()), ("value", pa.float64()), ("seconds", pa.float64()),
        ("started", pa.timestamp("ms")), ("why", pa.string()),
    ]  # fmt: skip
    columns += [(f"value_{step}", pa.float64()) for step in STEPS]
    for one in space.dimensions:
        kind = pa.int64() if one.whole else pa.float64() if not one.choices else _kind(one.choices[0])
        columns.append((one.name, kind))
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


def _kind(value: object) -> pa.DataType:
    return pa.scalar(value).type


def best_trial(study: Study) -> FrozenTrial | None:
    """The best trial that came to its end, None where none did yet."""
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    return max(done, key=lambda trial: (trial.value, -trial.number), default=None)


def write_results(folder: Path, study: Study, space: Space, best: Settings | None) -> None:
    """Write `best.toml`, `trials.parquet`, `.csv` and `.json`, each whole or not at all."""
    table = trials_table(study, space)
    parquet, csv = folder / ".trials.parquet", folder / ".trials.csv"
    pq.write_table(table, parquet, compression="zstd")
    parquet.replace(folder / "trials.parquet")
    pa_csv.write_csv(table, csv)
    csv.replace(folder / "trials.csv")
    rows = json.dumps(table.to_pylist(), indent=1, default=str, ensure_ascii=False)
    write_atomically(folder / "trials.json", rows + "\n")
    if best is not None:
        trial = best_trial(study)
        assert trial is not None  # noqa: S101 - there are best settings
        head = f"# Trial {trial.number} of {len(table)}: {trial.value:.4f} on validation products.\n"
        write_atomically(folder / BEST, head + training_toml(best))


def training_toml(settings: Settings) -> str:
    """The settings that say what is learned and how, as TOML: `train`, and its section of the model."""
    wanted = ("[train]", f"[train.{settings.train.model}]")
    lines, keep = [], False
    for line in render(settings):
        if line.startswith("["):
            keep = line in wanted
        if keep and line:
            lines.append(line)
    return "\n".join(lines).replace(f"\n{wanted[1]}", f"\n\n{wanted[1]}") + "\n"
