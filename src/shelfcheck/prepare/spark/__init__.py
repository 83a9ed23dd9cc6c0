"""`prepare` on Spark: the same work on a batch, the same SQL, rows in the same order, on many machines.

Texts never pass through Java. Executors read pieces of the input, screen them and lay the rows down by month
where all can reach them (`staging`); Spark's SQL finds over small keys which rows fall; executors then write
the months, each a range of rows at a time (`months`). `run` is what the driver does.
"""

from __future__ import annotations

from shelfcheck.prepare.spark.run import prepare_on_spark

__all__ = ["prepare_on_spark"]
