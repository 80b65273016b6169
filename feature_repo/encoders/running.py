"""How a torch module runs on its device: precision, compilation, and copies that overlap with it.

On a GPU the numbers of a batch travel from page-locked memory on a stream of their own while
the batch before is computed, the module runs in bfloat16 where the GPU has it, and its result is
fetched only when the next batch is under way. On a processor the same calls do the same one after
the other. Results are float32; bfloat16 keeps their direction (cosine above 0.999 here).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from feature_repo.errors import EncoderError

if TYPE_CHECKING:
    import torch

FLOAT32: Final = "float32"
BFLOAT16: Final = "bfloat16"
PRECISIONS: Final = (FLOAT32, BFLOAT16)
Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Staged:
    """A batch on the device, or on its way there."""

    inputs: Any
    """A tensor, or tensors by name."""
    count: int
    arrived: "torch.cuda.Event | None" = None
    """On a GPU: when the copy is done."""

    def ready(self) -> Any:
        """The inputs, for computations from here on of the thread's current stream."""
        import torch

        if self.arrived is not None:
            tensors = self.inputs.values() if isinstance(self.inputs, Mapping) else (self.inputs,)
            for tensor in tensors:
                stream = torch.cuda.current_stream(tensor.device)
                stream.wait_event(self.arrived)
                tensor.record_stream(stream)
        return self.inputs


class Runner:
    """Runs one computation on one device."""

    def __init__(
        self,
        compute: "Callable[[Any], torch.Tensor]",
        *,
        device: str,
        precision: str | None = None,
        compiled: bool = False,
    ) -> None:
        """`compute` maps a batch on the device to (N, D).

        Args:
            precision: by default bfloat16 on a GPU that computes in it, else float32.
            compiled: by torch.compile, for batches of one size; smaller ones are filled up.
        """
        import torch

        self.device = torch.device(device)
        self.precision = precision or (BFLOAT16 if has_bfloat16(self.device) else FLOAT32)
        if self.precision not in PRECISIONS:
            raise EncoderError(
                f"precision {self.precision!r} is not known; it is one of {', '.join(PRECISIONS)}"
            )
        self.compiled = compiled
        self._plain = compute
        self._compute = torch.compile(compute, dynamic=False) if compiled else compute
        self._full = 0
        self._stream: Any = None
        if self.on_gpu:
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def computation(self) -> "Callable[[Any], torch.Tensor]":
        """A batch on the device to (N, D) as it was given: not compiled, and with gradients."""
        return self._plain

    @property
    def lag(self) -> int:
        """Batches to launch before the first is fetched, so that the device never waits."""
        return 1 if self.on_gpu else 0

    def changed(self, *, precision: str | None = None, compiled: bool = False) -> "Runner":
        """The same computation, run in another way."""
        return Runner(
            self._plain,
            device=str(self.device),
            precision=precision or self.precision,
            compiled=compiled,
        )

    def stage(self, inputs: "torch.Tensor | Mapping[str, torch.Tensor]") -> Staged:
        """Begin to copy a batch to the device; safe beside `launch` in another thread."""
        tensors = inputs if isinstance(inputs, Mapping) else {"": inputs}
        count = len(next(iter(tensors.values())))
        with self._copying():
            moved = {key: self._moved(one) for key, one in tensors.items()}
            return Staged(moved if isinstance(inputs, Mapping) else moved[""], count, self._event())

    def gather(self, rows: "Sequence[torch.Tensor]") -> Staged:
        """Make one batch of rows of which some are on the device already, all of them whole."""
        import torch

        with self._copying():
            batch = torch.stack([self._moved(row) for row in rows])
            staged = Staged(batch, len(rows), self._event())
        if self._stream is not None:
            self._stream.synchronize()  # the rows' memory may be used again once they are copied
        return staged

    def _copying(self) -> AbstractContextManager[Any]:
        import torch

        return torch.cuda.stream(self._stream)

    def _moved(self, tensor: "torch.Tensor") -> "torch.Tensor":
        if self.on_gpu and not tensor.is_cuda:
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def _event(self) -> "torch.cuda.Event | None":
        return None if self._stream is None else self._stream.record_event()

    def launch(self, staged: Staged) -> "torch.Tensor":
        """Begin to compute a batch: (N, D), which a GPU may not have finished."""
        import torch

        inputs = self._filled(staged)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == BFLOAT16),
        ):
            return self._compute(inputs)[: staged.count].float()

    def fetch(self, launched: "torch.Tensor") -> npt.NDArray[np.float32]:
        """(N, D), once it is there."""
        output: npt.NDArray[np.float32] = launched.cpu().numpy()
        return output

    def run(self, inputs: "torch.Tensor | Mapping[str, torch.Tensor]") -> npt.NDArray[np.float32]:
        """(N, D) of one batch by itself."""
        return self.fetch(self.launch(self.stage(inputs)))

    def _filled(self, staged: Staged) -> Any:
        """The inputs; of a compiled computation repeated up to the largest batch so far."""
        inputs = staged.ready()
        if not self.compiled:
            return inputs
        self._full = max(self._full, staged.count)
        if staged.count == self._full:
            return inputs
        if isinstance(inputs, Mapping):
            return {key: _repeated(one, self._full) for key, one in inputs.items()}
        return _repeated(inputs, self._full)


def _repeated(tensor: "torch.Tensor", count: int) -> "torch.Tensor":
    import torch

    return tensor[torch.arange(count, device=tensor.device) % len(tensor)]


def has_bfloat16(device: "torch.device") -> bool:
    """Whether it is a GPU that computes in bfloat16 by itself."""
    import torch

    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
