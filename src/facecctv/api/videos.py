"""Routes about videos: `POST /v1/jobs` and what lies below each job."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from facecctv.api import clips, documents, replies
from facecctv.api.clips import Clip
from facecctv.api.desk import MISSING, Desk
from facecctv.api.filming import (
    FootageWishes,
    FootageWork,
    RedactWork,
    check_models,
    opened,
)
from facecctv.api.jobs import Job, Kind, Work
from facecctv.api.problems import Problem, documented
from facecctv.api.security import client
from facecctv.api.telling import JobState, events_of, told
from facecctv.api.uploads import receive_video
from facecctv.api.wishes import FootageQuery, RedactQuery
from facecctv.errors import EntryError, ModelNotFound
from facecctv.footage.opening import possible
from facecctv.footage.people import Edit
from facecctv.schema import footage as form

_ASKING = (400, 401, 403, 404, 422, 500)
_NUMBER = Path(description="Of the job.", pattern=r"^[A-Za-z0-9_-]{1,64}$", alias="job")
Number = Annotated[str, _NUMBER]
Person = Annotated[int, Path(ge=1, le=1_000_000, description="Number of the person.")]
Picture = Annotated[
    str,
    Path(
        pattern=r"^(crop-[0-9]{2}|fused|changes|enhanced)\.png$",
        description="As `files` of the person says.",
        examples=["crop-01.png"],
    ),
]


_STARTED: dict[str, Any] = {
    "model": JobState,
    "description": "The job was begun.",
    "headers": {"Location": {"description": "Of the job.", "schema": {"type": "string"}}},
}
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def routes(desk: Desk) -> APIRouter:
    """All of them; none in a program without video."""
    router = APIRouter(prefix="/v1/jobs", tags=["videos"])
    if not possible():
        return router
    _add_making(router, desk)
    _add_asking(router, desk)
    _add_steering(router, desk)
    _add_taking(router, desk)
    return router


def _job(desk: Desk, request: Request, number: str) -> Job:
    return desk.jobs.get(number, client(request, desk.settings.keys))


def _reply(desk: Desk, job: Job, status: int = 200) -> Response:
    reply = replies.json_reply(told(desk, job))
    reply.status_code = status
    if status == 202:
        reply.headers["Location"] = f"/v1/jobs/{job.id}"
    return reply


def _add_making(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "",
        summary="Put in a video",
        status_code=202,
        response_model=JobState,
        responses={202: _STARTED, **documents.PICTURE_FAILURES},
        openapi_extra=documents.video_body(),
    )
    async def make(
        request: Request,
        wishes: FootageQuery,
        redacting: RedactQuery,
        kind: Annotated[
            Kind, Query(description="Find every person once, or cover every face.")
        ] = "footage",
    ) -> Response:
        """Begins a job: `footage` finds every person once, at their best; `redact` covers every
        face. One works at a time, the others wait.

        The job belongs to the API key (without keys: the address) that began it. All of it is in
        memory, and wiped when it is deleted or nobody has asked for it for `job_idle_seconds`.
        """
        owner = client(request, desk.settings.keys)
        with desk.gate.enter(owner), desk.jobs.place(owner) as begin:
            if kind == "footage":
                await asyncio.to_thread(_check, desk, wishes)
            try:
                upload = await receive_video(request, desk.limits, desk.room)
            except ClientDisconnect as error:
                raise Problem(400, "the upload broke off") from error
            clip = Clip(upload.data, desk.room)
            try:
                video = await desk.look(lambda: opened(clip, desk))
            except BaseException:
                clip.release()
                raise
            clip.kind = clips.media_type(video.facts.container)
            work: Work = (
                FootageWork(desk, clip, upload.name, wishes)
                if kind == "footage"
                else RedactWork(desk, clip, upload.name, redacting)
            )
            return _reply(desk, begin(work), 202)

    @router.post(
        "/{job}/redact",
        summary="Cover the faces of a job's video",
        status_code=202,
        response_model=JobState,
        responses={202: _STARTED, **documented((*_ASKING, 409, 429))},
    )
    async def redact(
        request: Request,
        number: Number,
        redacting: RedactQuery,
        keep: Annotated[
            list[int] | None,
            Query(description="Numbers of people who stay to be seen.", max_length=1000),
        ] = None,
    ) -> Response:
        """Begins a job that covers everybody in the video of another, which need not be sent
        again, or everybody but some of the people who were found in it.
        """
        owner = client(request, desk.settings.keys)
        with desk.gate.enter(owner), desk.jobs.place(owner) as begin:
            work = desk.jobs.get(number, owner).work
            if not isinstance(work, FootageWork):
                raise Problem(409, "this is for a job of the kind footage")
            kept = _people(work, keep or [])
            covering = RedactWork(desk, work.clip.hold(), work.source, redacting, kept)
            return _reply(desk, begin(covering), 202)


def _check(desk: Desk, wishes: FootageWishes) -> None:
    try:
        check_models(desk, wishes)
    except ModelNotFound as error:
        raise Problem(503, MISSING, reason="not-installed") from error


def _people(work: FootageWork, numbers: list[int]) -> list[form.Person]:
    if not numbers:
        return []
    if work.result is None:
        raise Problem(409, "people are known when the job is done")
    known = {person.number: person for person in work.result.people}
    missing = [number for number in numbers if number not in known]
    if missing:
        raise Problem(422, f"keep: there is no person {missing[0]}", reason="option")
    return [known[number] for number in dict.fromkeys(numbers)]


def _add_asking(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/{job}",
        summary="How far is it, and what was found?",
        response_model=JobState,
        responses=documented(_ASKING),
    )
    async def show(request: Request, number: Number) -> Response:
        """State, progress and, when done, the result. Asking keeps the job from expiring."""
        return _reply(desk, _job(desk, request, number))

    @router.get(
        "/{job}/events",
        summary="The same as it changes",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events: `state`, with the job without its result.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **documented(_ASKING),
        },
    )
    async def events(request: Request, number: Number) -> Response:
        """An event for each change, the first at once, the last when the job has ended; comments
        in between say that the line is alive. Whoever comes again (`Last-Event-ID`) is told the
        state of then: none of the events says less than those before.
        """
        owner = client(request, desk.settings.keys)
        job = desk.jobs.get(number, owner)
        return StreamingResponse(events_of(desk, job, owner), media_type="text/event-stream")

    @router.delete(
        "/{job}",
        summary="Cancel and wipe",
        status_code=204,
        response_class=Response,
        responses={204: {"description": "It is gone."}, **documented(_ASKING)},
    )
    async def delete(request: Request, number: Number) -> Response:
        """Ends the work at its next step and overwrites the video."""
        desk.jobs.remove(_job(desk, request, number))
        return Response(status_code=204)


def _add_steering(router: APIRouter, desk: Desk) -> None:
    answers = documented(_ASKING)
    corrected = documented((*_ASKING, 409))

    @router.post("/{job}/pause", summary="Pause", response_model=JobState, responses=answers)
    async def pause(request: Request, number: Number) -> Response:
        """Stops between two frames and lets others pass. A paused job expires as any other."""
        job = _job(desk, request, number)
        job.pause()
        return _reply(desk, job)

    @router.post("/{job}/resume", summary="Go on", response_model=JobState, responses=answers)
    async def resume(request: Request, number: Number) -> Response:
        """Goes on where it paused, in its old place of the queue."""
        job = _job(desk, request, number)
        job.resume()
        return _reply(desk, job)

    @router.post(
        "/{job}/merge",
        summary="Two are one person",
        response_model=JobState,
        responses=corrected,
    )
    async def merge(
        request: Request,
        number: Number,
        person: Annotated[
            list[int],
            Query(description="Two or more, the first number stays.", min_length=2, max_length=100),
        ],
    ) -> Response:
        """Joins people of a footage job that is done; it is at work again for a moment."""
        return _corrected(desk, _job(desk, request, number), "merge", tuple(person), None)

    @router.post(
        "/{job}/split",
        summary="A passage is somebody else's",
        response_model=JobState,
        responses=corrected,
    )
    async def split(
        request: Request,
        number: Number,
        person: Annotated[int, Query(ge=1, description="Whose passage it is now.")],
        passage: Annotated[int, Query(ge=1, description="Its number.")],
    ) -> Response:
        """Makes a person of their own of one passage; the job is at work again for a moment."""
        return _corrected(desk, _job(desk, request, number), "split", (person,), passage)


def _corrected(
    desk: Desk,
    job: Job,
    kind: Literal["merge", "split"],
    people: tuple[int, ...],
    passage: int | None,
) -> Response:
    if not isinstance(job.work, FootageWork) or job.state != "done":
        raise Problem(409, "this is for a job of the kind footage that is done")
    try:
        job.start(job.work.edit(Edit(kind, people, passage)))
    except (EntryError, ValueError) as error:
        raise Problem(422, str(error), reason="option") from error
    return _reply(desk, job)


def _add_taking(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/{job}/people/{person}/{picture}",
        summary="A picture of a person",
        response_class=Response,
        responses={200: {"content": {"image/png": _BYTES}}, **documented(_ASKING)},
    )
    async def picture(
        request: Request, number: Number, person: Person, picture: Picture
    ) -> Response:
        """The best sights as recorded, one face fused of many, what fusing changed, and that
        enhanced. Which there are is said by `files` of each person.
        """
        work = _job(desk, request, number).work
        found = work.picture(person, picture) if isinstance(work, FootageWork) else None
        if found is None:
            raise Problem(404, "there is no such picture, or not yet")
        return Response(found, media_type="image/png")

    videos: dict[int | str, dict[str, Any]] = {
        200: {"content": {"video/*": _BYTES}},
        206: {"description": "The part that `Range` asks for.", "content": {"video/*": _BYTES}},
        **documented((*_ASKING, 416)),
    }

    @router.get(
        "/{job}/video",
        summary="The video as it came",
        response_class=StreamingResponse,
        responses=videos,
    )
    async def video(request: Request, number: Number) -> Response:
        """For a player, while the job lives."""
        work = _job(desk, request, number).work
        if not isinstance(work, FootageWork | RedactWork):
            raise Problem(404, "there is no video")
        return clips.reply(work.clip, request.headers.get("range"), "video")

    @router.get(
        "/{job}/redacted",
        summary="The video with faces covered",
        response_class=StreamingResponse,
        responses=videos,
    )
    async def redacted(request: Request, number: Number) -> Response:
        """MP4, or MKV where MP4 cannot hold the sound. 404 until the job is done."""
        work = _job(desk, request, number).work
        if not isinstance(work, RedactWork) or work.output is None or work.result is None:
            raise Problem(404, "there is no covered video, or not yet")
        span = request.headers.get("range")
        return clips.reply(work.output, span, f"redacted{work.suffix}")
