"""What a client is told of its job, when it asks and as things change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, Field

from facecctv import schema
from facecctv.api.desk import Desk
from facecctv.api.filming import FootageWork, RedactWork
from facecctv.api.jobs import ENDED, Job, Kind, State
from facecctv.api.problems import Problem
from facecctv.schema import footage as form
from facecctv.schema.basis import Text

NOTICED = 0.5
"""Seconds between looks at a job for its events."""
HEARTBEAT = 4.0
"""Seconds without an event after which a comment says that the line is alive."""


class JobState(BaseModel):
    """A job of the moment."""

    id: str
    kind: Kind
    state: State
    source: Text
    """As the client named the video."""
    progress: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the work that is done; absent where the video does not say how long it is."""
    eta: Annotated[float, Field(ge=0)] | None = None
    """Seconds of work that are left, estimated; absent until there is something to go by."""
    ahead: Annotated[int, Field(ge=0)] | None = None
    """Of a job that is queued: how many are served before it."""
    passages: Annotated[int, Field(ge=0)] | None = None
    """Of footage: how many passages have ended so far."""
    expires_in: int
    """Seconds without being asked for after which the job is cancelled and wiped."""
    error: schema.Error | None = None
    """Why it failed."""
    footage: form.Footage | None = None
    """When done. Of `files` of each person, paths below the job's own address."""
    redacted: form.Redacted | None = None
    """When done."""


def told(desk: Desk, job: Job, *, results: bool = True) -> JobState:
    """The job of this moment; its result too if it is done and `results` are wanted."""
    state, work = job.state, job.work
    found = JobState(
        id=job.id,
        kind=work.kind,
        state=state,
        source=work.source,
        progress=None if job.progress is None else round(job.progress, 4),
        eta=None if job.eta is None else round(job.eta, 1),
        ahead=job.ahead if state == "queued" else None,
        passages=work.passages if isinstance(work, FootageWork) else None,
        expires_in=desk.limits.job_idle_seconds,
    )
    if state == "failed" and job.fault is not None:
        found.error = schema.Error(type=job.fault.type, detail=job.fault.detail)
    if state == "done" and results:
        found.footage = work.result if isinstance(work, FootageWork) else None
        found.redacted = work.result if isinstance(work, RedactWork) else None
    return found


async def events_of(desk: Desk, job: Job, owner: str) -> AsyncIterator[str]:
    """Server-sent events until the job has ended."""
    said, count, quiet = "", 0, 0.0
    while True:
        now = told(desk, job, results=False)
        text = json.dumps(now.model_dump(mode="json", exclude_none=True))
        if text != said:
            said, quiet, count = text, 0.0, count + 1
            yield f"id: {count}\nevent: state\ndata: {text}\n\n"
        elif quiet >= HEARTBEAT:
            quiet = 0.0
            yield ": still here\n\n"
        if now.state in ENDED:
            return
        await asyncio.sleep(NOTICED)
        quiet += NOTICED
        try:
            desk.jobs.get(job.id, owner)  # being watched is being asked for
        except Problem:
            continue  # deleted: the next look says cancelled
