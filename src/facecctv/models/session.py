"""The seam to the engine that runs networks: ONNX Runtime, on the CPU unless asked otherwise."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from facecctv.errors import ModelError, SettingError
from facecctv.models.card import Card

if TYPE_CHECKING:
    import onnxruntime

Array: TypeAlias = npt.NDArray[Any]

PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "DirectML": "DmlExecutionProvider",
    "CoreML": "CoreMLExecutionProvider",
}
"""What a person calls it -> what ONNX Runtime calls it."""

Arena = Literal["keep", "shrink", "off"]


class Runner(Protocol):
    """What a stage needs of a loaded model; tests hand in their own."""

    @property
    def card(self) -> Card:
        """What the model says of itself."""

    def run(self, *arrays: Array) -> list[Array]:
        """Returns the outputs for the inputs, both in the order of the graph; axis 0 is batch."""


@dataclass(frozen=True)
class _Engine:
    session: onnxruntime.InferenceSession
    options: onnxruntime.RunOptions
    card: Card
    sha256: str
    inputs: tuple[str, ...]
    provider: str
    load_seconds: float


class Session:
    """A model that is loaded when first needed, once, whichever thread comes first.

    `model` is the ONNX file's bytes, or a function that returns them, called at loading.
    `providers` is "auto" (the CPU, the tested default) or names of PROVIDERS in order of
    preference; the CPU runs what they cannot. One that was asked for and does not start is an
    error: there is no silent fall-back. `threads` is how many threads one run may use, by default
    `physical_cores()`.

    `arena` says what becomes of the working memory after a run: kept for the next, given back
    ("shrink"), or never pooled ("off"). Pooled it is smaller too: one 1920x1088 run of the face
    detector's network peaked at 132 MB for the whole process, against 224 MB unpooled, in the same
    time. ONNX Runtime's memory pattern is off because it lays out a second block for every new
    picture size (181 MB in the same measurement).

    Raises SettingError for settings that are impossible. Everything else waits for the first use,
    which raises ModelError (damaged model, no valid card), SettingError (a provider that is not
    there) and what the function raises.
    """

    def __init__(
        self,
        model: bytes | Callable[[], bytes],
        *,
        providers: str | Sequence[str] = "auto",
        threads: int | None = None,
        arena: Arena = "keep",
    ) -> None:
        if threads is not None and threads < 1:
            raise SettingError(f"threads must be at least 1, not {threads}")
        if arena not in ("keep", "shrink", "off"):
            raise SettingError(f"arena must be keep, shrink or off, not {arena!r}")
        self._model = model
        self._providers = _named(providers)
        self._threads = threads
        self._arena = arena
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    @property
    def card(self) -> Card:
        """What the model says of itself; loads it."""
        return self._loaded().card

    @property
    def sha256(self) -> str:
        """Of the model's bytes, 64 hexadecimal digits; loads it."""
        return self._loaded().sha256

    @property
    def provider(self) -> str:
        """What really runs the graph's nodes, busiest first: "CPU", "CUDA+CPU"; loads the model."""
        return self._loaded().provider

    @property
    def load_seconds(self) -> float:
        """How long loading took, reading and verifying included; loads the model."""
        return self._loaded().load_seconds

    def run(self, *arrays: Array) -> list[Array]:
        """Returns the outputs for the inputs, both in the order of the graph; axis 0 is batch.

        May be called from several threads at once. Raises ValueError for another number of inputs
        than the graph has, ModelError when the graph cannot take them, MemoryError when there is
        not enough memory (a smaller batch or tile may do).
        """
        engine = self._loaded()
        if len(arrays) != len(engine.inputs):
            raise ValueError(
                f"{engine.card.name} takes {len(engine.inputs)} inputs: {engine.inputs}"
            )
        feed = dict(zip(engine.inputs, arrays, strict=True))
        try:
            outputs = engine.session.run(None, feed, engine.options)
        except Exception as error:  # ONNX Runtime's exceptions share no other base.
            if "Failed to allocate" in str(error) or "bad_alloc" in str(error):
                raise MemoryError(f"not enough memory to run {engine.card.name}") from error
            raise ModelError(f"cannot run {engine.card.name}: {_line(error)}") from error
        return [np.asarray(output) for output in outputs]

    def _loaded(self) -> _Engine:
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._load()
        return self._engine

    def _load(self) -> _Engine:
        import onnxruntime

        began = time.perf_counter()
        model = self._model if isinstance(self._model, bytes) else self._model()
        card = Card.from_model(model)
        present = available_providers()
        for name in self._providers:
            if name not in present:
                raise SettingError(f"{name} is not there to run models; there is: {_list(present)}")
        wanted = [PROVIDERS[name] for name in self._providers]
        try:
            session = onnxruntime.InferenceSession(
                model, self._session_options(), providers=wanted, enable_fallback=0
            )
        except Exception as error:  # As above.
            raise ModelError(f"cannot load {card.name}: {_line(error)}") from error
        started = session.get_providers()
        for name in self._providers:
            if PROVIDERS[name] not in started:
                raise SettingError(f"{name} is installed but did not start; is its driver there?")
        return _Engine(
            session,
            self._run_options(),
            card,
            hashlib.sha256(model).hexdigest(),
            tuple(value.name for value in session.get_inputs()),
            _provider_of(session),
            time.perf_counter() - began,
        )

    def _session_options(self) -> onnxruntime.SessionOptions:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads or physical_cores()
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = self._arena != "off"
        options.log_severity_level = 4  # Errors come as exceptions; nothing else is printed.
        # Threads that spin between runs gain 2 % where nothing else works, and take from a server
        # or a video the processor that decoding and judging need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return options

    def _run_options(self) -> onnxruntime.RunOptions:
        import onnxruntime

        options = onnxruntime.RunOptions()
        if self._arena == "shrink":
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return options


def available_providers() -> tuple[str, ...]:
    """Returns the names of PROVIDERS that this installation of ONNX Runtime was built with."""
    import onnxruntime

    present = onnxruntime.get_available_providers()
    return tuple(name for name, full in PROVIDERS.items() if full in present)


def physical_cores() -> int:
    """Returns how many physical cores this process may use.

    Two hardware threads of one core count once, since they share the arithmetic that networks are
    made of; a container's quota of CPU time counts too. Where the platform does not tell, 0: ONNX
    Runtime then counts for itself.
    """
    if not hasattr(os, "sched_getaffinity"):
        return 0
    allowed = os.sched_getaffinity(0)
    cores = {_siblings(cpu) for cpu in allowed}
    return max(1, min(len(cores), _quota(Path("/sys/fs/cgroup/cpu.max"))))


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text()
    except OSError:  # Not shown in every container: then each hardware thread is a core.
        return str(cpu)


def _quota(path: Path) -> int:
    try:
        quota, period = path.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # No file, or "max": no limit.
        return 1 << 16


def _named(providers: str | Sequence[str]) -> tuple[str, ...]:
    names = [providers] if isinstance(providers, str) else list(providers)
    if names == ["auto"]:
        return ("CPU",)
    known = {name.lower(): name for name in PROVIDERS}
    for name in names:
        if name.lower() not in known:
            raise SettingError(f"unknown provider {name!r}; known: auto, {_list(PROVIDERS)}")
    if not names:
        raise SettingError(f"name at least one provider of: auto, {_list(PROVIDERS)}")
    return tuple(dict.fromkeys(known[name.lower()] for name in names))


def _provider_of(session: onnxruntime.InferenceSession) -> str:
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] += len(part.get_nodes())
    short = {full: name for name, full in PROVIDERS.items()}
    return "+".join(short.get(full, full) for full, _ in nodes.most_common())


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
