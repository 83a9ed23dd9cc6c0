"""Tuning: find settings of a model that do best on products it did not learn from."""

from shelfcheck.tuning.run import TuningResult, require_optuna, tune
from shelfcheck.tuning.space import SPACES, Space, space_of

__all__ = ["SPACES", "Space", "TuningResult", "require_optuna", "space_of", "tune"]
