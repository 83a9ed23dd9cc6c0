"""A lean start: what other libraries would load, and no command needs, is not loaded.

pyarrow imports pandas, where it is installed, when it makes its first array: a quarter of the time that
most commands take to start. Here pandas cannot be imported, which pyarrow and every other library take
as "not installed". That is for the command line only, and until PySpark is loaded: in a program of one's
own, pandas stays.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.util import spec_from_loader
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _WithoutPandas(MetaPathFinder, Loader):
    """Finds pandas, so that nobody else does, and does not load it."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - importlib's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        # PySpark asks for pandas before it runs an Arrow function.
        kept_out = fullname == "pandas" and "pyspark" not in sys.modules
        return spec_from_loader(fullname, self) if kept_out else None

    def exec_module(self, module: ModuleType) -> NoReturn:
        raise ImportError("pandas is not loaded by the command line", name=module.__name__)


def start_lean() -> None:
    """Keep pandas out of this process, unless it is there already."""
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _WithoutPandas())
