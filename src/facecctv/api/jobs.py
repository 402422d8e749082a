"""Work that outlives its request: kept in memory, for its owner alone, and not for long."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from facecctv.api.allocator import give_back
from facecctv.api.around import where
from facecctv.api.limits import ServerLimits
from facecctv.api.problems import Problem, busy
from facecctv.api.turns import Cancelled, Line, Turn
from facecctv.errors import FaceCCTVError, ModelError, OutputError, VideoError

log = logging.getLogger("facecctv.api")

Kind = Literal["footage", "redact"]
State = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
ENDED = frozenset({"done", "failed", "cancelled"})
_SWEEPS = 8
"""Looks for jobs that nobody asks for any more, in the time after which they go."""


class Work(Protocol):
    """What a job does, and what came of it."""

    @property
    def kind(self) -> Kind:
        """Which of the two."""

    @property
    def source(self) -> str:
        """As the client named the video."""

    def run(self, job: Job) -> None:
        """Does it, in a thread of its own; asks `job.check` at every step."""

    def wipe(self) -> None:
        """Lets go of everything; nothing runs any more."""


@dataclass(frozen=True)
class Fault:
    """Why a job failed."""

    type: str
    detail: str


class Job:
    """One piece of work, its state, and its result for as long as somebody asks for it."""

    def __init__(self, work: Work, owner: str, line: Line) -> None:
        self.id = secrets.token_urlsafe(24)
        self.work, self.owner = work, owner
        self.progress: float | None = None
        """0..1; None where it is not known."""
        self.fault: Fault | None = None
        self._line = line
        self._turn: Turn = line.join()
        self._lock = threading.Lock()
        self._outcome: State | None = None
        self._at_work = self._unwanted = False
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """Of the moment."""
        if self._outcome is not None:
            return self._outcome
        if self._turn.paused:
            return "paused"
        return "running" if self._turn.holding else "queued"

    @property
    def ahead(self) -> int:
        """Jobs that are served before this one."""
        return self._turn.ahead

    @property
    def eta(self) -> float | None:
        """Seconds of work that are left, by how long it took until here; None if unknown."""
        done, spent = self.progress, self._turn.seconds
        if done is None or done < 0.01 or spent < 1 or self._outcome is not None:
            return None
        return spent * (1 - done) / done

    def start(self, work: Callable[[Job], None] | None = None) -> None:
        """Begins, or begins again with other work on the same things."""
        with self._lock:
            if self._thread is not None:
                self._turn = self._line.join()
            self._outcome, self.fault, self.progress = None, None, None
            self._at_work = True
            do = work or self.work.run
            self._thread = threading.Thread(
                target=self._run, args=(do,), name="facecctv-job", daemon=True
            )
            self._thread.start()

    def check(self) -> None:
        """For the work: waits for its turn; raises Cancelled when nobody wants it any more."""
        self._turn.check()

    def pause(self) -> None:
        """Lets others pass; nothing happens to a job that has ended."""
        self._turn.pause()

    def resume(self) -> None:
        """Goes on."""
        self._turn.resume()

    def discard(self) -> None:
        """Ends it at its next step, and wipes what it holds then; at once if it has ended."""
        with self._lock:
            left = not self._at_work and not self._unwanted
            self._unwanted, self._outcome = True, "cancelled"
        self._turn.cancel()
        if left:
            self._let_go()

    def join(self, seconds: float) -> None:
        """Waits for its thread."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, work: Callable[[Job], None]) -> None:
        outcome: State = "failed"
        try:
            self._turn.check()
            work(self)
            outcome, self.progress = "done", 1.0
        except Cancelled:
            outcome = "cancelled"
        except Exception as error:  # noqa: BLE001 - the door: a bug must not show its insides
            self.fault = _fault(error)
        self._turn.leave()
        with self._lock:
            self._at_work, unwanted = False, self._unwanted
            self._outcome = "cancelled" if unwanted else outcome
        if unwanted:
            self._let_go()
        else:
            give_back()

    def _let_go(self) -> None:
        self.work.wipe()
        give_back()


def _fault(error: Exception) -> Fault:
    """In words that name no file of the server."""
    match error:
        case Problem():
            return Fault("LimitError", error.detail)
        case ModelError():
            return Fault("ModelError", "the model cannot be used")
        case VideoError() | OutputError():
            return Fault(type(error).__name__, " ".join(str(error).split()))
        case MemoryError():
            return Fault("LimitError", "not enough memory for this video")
        case FaceCCTVError():
            return Fault(type(error).__name__, "the video cannot be worked on")
    log.error("bug in a job: %s", where(error))
    return Fault("InternalError", "a bug in this server")


class Jobs:
    """All jobs of a server; any thread may call it."""

    def __init__(self, limits: ServerLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._line = Line()
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._asked: dict[str, float] = {}
        self._coming: list[str] = []
        """Owners of videos that are being uploaded."""
        self._sweeper: threading.Thread | None = None
        self._closed = threading.Event()

    def __len__(self) -> int:
        return len(self._jobs)

    @contextmanager
    def place(self, owner: str) -> Iterator[Callable[[Work], Job]]:
        """Room for one more job of this owner, and what begins it; Problem 429 without.

        Raises Problem 429 where there are too many.
        """
        self._sweep()
        with self._lock:
            owners = [job.owner for job in self._jobs.values()] + self._coming
            if owners.count(owner) >= self._limits.jobs_per_client:
                most = self._limits.jobs_per_client
                raise busy(429, f"at most {most} videos at once: delete one that is done", 30)
            if len(owners) >= self._limits.jobs:
                raise busy(429, "the server has no room for one more video", 60)
            self._coming.append(owner)
        try:
            yield lambda work: self._begin(work, owner)
        finally:
            with self._lock:
                self._coming.remove(owner)

    def get(self, number: str, owner: str) -> Job:
        """The job of this owner, which stays for another while; Problem 404 without."""
        self._sweep()
        with self._lock:
            job = self._jobs.get(number)
            if job is None or not secrets.compare_digest(job.owner.encode(), owner.encode()):
                raise Problem(404, "there is no such job: it may have expired", reason="no-job")
            self._asked[number] = self._clock()
            return job

    def remove(self, job: Job) -> None:
        """Cancels it if it still runs, and wipes what it holds."""
        with self._lock:
            self._jobs.pop(job.id, None)
            self._asked.pop(job.id, None)
        job.discard()

    def close(self, seconds: float = 5.0) -> None:
        """Removes all, and waits so long for each to end."""
        self._closed.set()
        jobs = list(self._jobs.values())
        for job in jobs:
            self.remove(job)
        for job in jobs:
            job.join(seconds)

    def _begin(self, work: Work, owner: str) -> Job:
        job = Job(work, owner, self._line)
        with self._lock:
            self._jobs[job.id], self._asked[job.id] = job, self._clock()
            if self._sweeper is None or not self._sweeper.is_alive():
                self._closed.clear()
                self._sweeper = threading.Thread(
                    target=self._watch, name="facecctv-sweeper", daemon=True
                )
                self._sweeper.start()
        job.start()
        return job

    def _watch(self) -> None:
        while not self._closed.wait(self._limits.job_idle_seconds / _SWEEPS):
            self._sweep()

    def _sweep(self) -> None:
        latest = self._clock() - self._limits.job_idle_seconds
        with self._lock:
            old = [job for job in self._jobs.values() if self._asked[job.id] < latest]
        for job in old:
            self.remove(job)
