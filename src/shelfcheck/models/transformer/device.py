"""Where the arithmetic is done and in which precision."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shelfcheck.errors import MissingExtraError, UsageError
from shelfcheck.models.ngrams import thread_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from shelfcheck.config import TransformerSettings


def require_extra() -> None:
    """Load the libraries that the model needs.

    Raises:
        MissingExtraError: they are not installed.
    """
    try:
        import torch  # noqa: F401, PLC0415 - loads for seconds
        import transformers  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError("The transformer model", "transformer") from error


@dataclass(frozen=True)
class Runtime:
    """A device and how it is used.

    Attributes:
        device: the device.
        dtype: precision of the products of matrices; sums and weights are float32 in any case.
        compiled: whether training goes through torch.compile.
    """

    device: torch.device
    dtype: torch.dtype
    compiled: bool

    @classmethod
    def of(cls, settings: TransformerSettings, *, fall_back: bool = False) -> Runtime:
        """The device and precision that settings ask for.

        Args:
            settings: `device`, `precision` and `compile` are read.
            fall_back: take what there is where the device is absent: a model that was trained elsewhere.

        Raises:
            UsageError: there is no such device.
        """
        import torch  # noqa: PLC0415 - loads for seconds

        device = _device(settings.device, fall_back=fall_back)
        dtype = (
            _auto_precision(device) if settings.precision == "auto" else getattr(torch, settings.precision)
        )
        if fall_back and device.type == "cpu" and dtype != torch.float32:
            dtype = _auto_precision(device)  # it may have been trained where half precision is fast
        if dtype == torch.float16 and device.type == "cpu":
            raise UsageError(
                "train.transformer.precision == 'float16', must be float32 or bfloat16 on a processor. "
                "Set it to 'auto', or name a device with train.transformer.device."
            )
        pays = device.type == "cuda" and importlib.util.find_spec("triton") is not None
        return cls(device, dtype, pays if settings.compile is None else settings.compile)

    @property
    def multiple(self) -> int:
        """Widths of batches that the device likes."""
        return 8 if self.device.type == "cuda" else 1

    @property
    def prediction_tokens(self) -> int:
        """Word pieces, padding included, that are predicted at a time."""
        return 65_536 if self.device.type == "cuda" else 4096

    def autocast(self) -> torch.autocast:
        """A context in which products of matrices have the precision."""
        import torch  # noqa: PLC0415

        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def put(self, array: Any) -> torch.Tensor:
        """A NumPy array on the device."""
        import torch  # noqa: PLC0415

        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def describe(self) -> str:
        """For the card, e.g. `cuda (NVIDIA H200), bfloat16, compiled`."""
        import torch  # noqa: PLC0415

        device = str(self.device)
        if self.device.type == "cuda":
            device += f" ({torch.cuda.get_device_name(self.device)})"
        return ", ".join([device, str(self.dtype).removeprefix("torch."), *["compiled"] * self.compiled])


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use this many threads meanwhile; 0 stands for every processor."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(thread_count(count))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(name: str, *, fall_back: bool) -> torch.device:
    import torch  # noqa: PLC0415

    present = ["cpu"]
    if torch.cuda.is_available():
        present += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        present.append("mps")
    if name == "auto" or (fall_back and name not in present):
        return torch.device(next(one for one in ("cuda", "mps", "cpu") if one in present))
    if name not in present:
        raise UsageError(
            f"train.transformer.device == {name!r}, must be auto or one of those here: {', '.join(present)}. "
            "For a GPU, install the build of PyTorch that is made for it (https://pytorch.org)."
        )
    return torch.device(name)


def _auto_precision(device: torch.device) -> torch.dtype:
    """Half precision where the device computes in it, and not where it would only be imitated."""
    import torch  # noqa: PLC0415

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and any(_cpu_has(name) for name in ("avx512_bf16", "amx_tile")):
        return torch.bfloat16
    return torch.float32


def _cpu_has(capability: str) -> bool:
    import torch  # noqa: PLC0415

    asked = getattr(torch.cpu, f"_is_{capability}_supported", None)
    return bool(asked and asked())
