"""Verification and recognition by which clients of CompreFace work unchanged.

Subjects are the people of the server's watch-list. What differs, because a list is kept by rules:
a subject exists by its first face; purpose, owner and last day are the server's; pictures are not
kept. `similarity` is 1 less the false-match rate, so that a client's threshold means something,
and 0 where the faces say too little; of a search only matches are named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import JSONResponse

from facecctv.api import documents, recognising
from facecctv.api.compreface import AskedQuery, all_described, found, reply
from facecctv.api.desk import Desk, Seen
from facecctv.api.problems import Problem, documented
from facecctv.api.recognising import Recognition
from facecctv.errors import EntryError
from facecctv.identity.entries import same_name
from facecctv.identity.matching import compare

PICTURES = ("source_image", "target_image")
SEVERAL: dict[str, Any] = {"code": 31, "message": "More than one face in the source image"}
UNKNOWN = 42
"""Their code for a subject that does not exist."""
Subject = Annotated[str, Query(min_length=1, max_length=200)]
_PLAIN = documented((400, 401, 403, 404, 422, 429, 500, 503))
_MOST = 2**31 - 1


def routes(desk: Desk) -> APIRouter:
    """All of them; without recogniser or watch-list they answer 503."""
    router = APIRouter(prefix="/api/v1", tags=["CompreFace"])
    _add_verification(router, desk)
    _add_recognition(router, desk)
    _add_subjects(router, desk)
    _add_faces(router, desk)
    return router


def _add_verification(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/verification/verify",
        summary="Compare faces, as CompreFace does",
        response_class=JSONResponse,
        responses=_answers("The face of the first picture, and each of the second with it."),
        openapi_extra=documents.pictures_body(PICTURES),
    )
    async def verify(request: Request, asked: AskedQuery) -> Response:
        """The best face of `source_image` with each of `target_image`; each has our `decision`
        and `false_match_rate` beside `similarity`, which is 1 less that rate.
        """
        looking = asked.looking

        def work(seen: Sequence[Seen]) -> Response:
            began = time.perf_counter()
            pipeline = looking.pipeline(desk)
            recognition = Recognition.of(desk, seen[0])
            scale = recognition.calibration()
            faces = [found(desk, one, looking, pipeline) for one in seen]
            (source,) = recognition.portraits(pipeline, seen[0], faces[0][:1])
            matches = []
            targets = recognition.portraits(pipeline, seen[1], faces[1])
            told = all_described(desk, seen[1], faces[1], asked)
            for target, words in zip(targets, told, strict=True):
                _, verdict = compare(scale, source, target)
                (judged,) = verdict.judgements
                known = verdict.decision != "insufficient_quality"
                matches.append(
                    words
                    | {
                        "similarity": _similarity(judged.false_match_rate) if known else 0.0,
                        "false_match_rate": judged.false_match_rate,
                        "decision": verdict.decision,
                    }
                )
            (first,) = all_described(desk, seen[0], faces[0][:1], asked)
            matches.sort(key=lambda one: -float(one["similarity"]))
            result = {"source_image_face": first, "face_matches": matches}
            return reply(desk, {"result": [result]}, [first, *matches], asked, began)

        return await desk.answer_all(request, work, PICTURES)


def _add_recognition(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/recognition/recognize",
        summary="Search the watch-list, as CompreFace does",
        response_class=JSONResponse,
        responses=_answers("The faces, each with the subjects that it matches, often none."),
        openapi_extra=documents.picture_body(),
    )
    async def recognise(request: Request, asked: AskedQuery) -> Response:
        """Only matches are named, however near others are; each face has our `decision` too. The
        search is logged.
        """
        searcher = recognising.who(desk, request)

        def work(seen: Seen) -> Response:
            began = time.perf_counter()
            pipeline = asked.looking.pipeline(desk)
            faces = found(desk, seen, asked.looking, pipeline)
            result = []
            told = all_described(desk, seen, faces, asked)
            searched = recognising.search(desk, seen, faces, pipeline, searcher)
            for one, face in zip(searched, told, strict=True):
                subjects = [
                    {"subject": who.name, "similarity": _similarity(who.false_match_rate)}
                    for who in one.candidates or ()
                    if who.decision == "match"
                ]
                words = {"subjects": subjects[: asked.predictions], "decision": one.decision}
                result.append(face | words)
            return reply(desk, {"result": result}, result, asked, began)

        return await desk.answer(request, work)


def _add_subjects(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/recognition/subjects",
        summary="Names on the watch-list",
        response_model=dict[str, list[str]],
        responses=_PLAIN,
    )
    async def subjects(request: Request) -> Response:
        """In order of names."""

        def work() -> Response:
            entries = recognising.listed(desk).entries()
            return JSONResponse({"subjects": [entry.person.name for entry in entries]})

        return await desk.answer_plain(request, work)

    @router.delete(
        "/recognition/subjects/{subject}",
        summary="Take somebody off the watch-list",
        response_model=dict[str, str],
        responses=_PLAIN,
    )
    async def remove(
        request: Request, subject: Annotated[str, Path(min_length=1, max_length=200)]
    ) -> Response:
        """With all faces."""
        work = _removal(desk, subject, lambda name, _: {"subject": name})
        return await desk.answer_plain(request, work)


def _add_faces(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/recognition/faces",
        summary="Enrol a face, as CompreFace does",
        status_code=201,
        response_class=JSONResponse,
        responses={
            201: {"description": "The face's id, of the picture's SHA-256, and the subject."},
            **documents.PICTURE_FAILURES,
        },
        openapi_extra=documents.picture_body(),
    )
    async def add(request: Request, subject: Subject, asked: AskedQuery) -> Response:
        """One picture with one face, for a subject that may be new. Several faces are 400 with
        code 31. 403 where the server lets nobody change its list.
        """
        served = recognising.listed(desk, changing=True)
        looking = asked.looking

        def work(seen: Seen) -> Response:
            faces = found(desk, seen, looking, looking.pipeline(desk))
            if len(faces) > 1:
                raise Problem(400, str(SEVERAL["message"]), extra=SEVERAL)
            kept = recognising.template(desk, seen, faces[0], looking)
            seen.leave.check()
            try:
                person = served.add_more(subject, kept)
            except EntryError as error:
                raise recognising.refused(error) from error
            return JSONResponse({"image_id": _id(kept.source), "subject": person.name}, 201)

        return await desk.answer(request, work)

    @router.get(
        "/recognition/faces",
        summary="Faces on the watch-list",
        response_class=JSONResponse,
        responses=_PLAIN,
    )
    async def faces(
        request: Request,
        page: Annotated[int, Query(ge=0, le=_MOST)] = 0,
        size: Annotated[int, Query(ge=1, le=1000)] = 20,
        subject: Annotated[str, Query(max_length=200, description="Only of this one.")] = "",
    ) -> Response:
        """Ids and subjects; pictures are not kept."""

        def work() -> Response:
            sources = recognising.listed(desk).sources()
            wanted = [
                {"image_id": _id(source), "subject": name}
                for name, source in sources
                if not subject or same_name(name) == same_name(subject)
            ]
            return JSONResponse(
                {
                    "faces": wanted[page * size : (page + 1) * size],
                    "page_number": page,
                    "page_size": size,
                    "total_pages": -(-len(wanted) // size),
                    "total_elements": len(wanted),
                }
            )

        return await desk.answer_plain(request, work)

    @router.delete(
        "/recognition/faces",
        summary="Remove all faces of somebody",
        response_model=dict[str, int],
        responses=_PLAIN,
    )
    async def clear(request: Request, subject: Subject) -> Response:
        """And so the subject, which has none without a face."""
        work = _removal(desk, subject, lambda _, count: {"deleted": count})
        return await desk.answer_plain(request, work)


def _removal(
    desk: Desk, subject: str, words: Callable[[str, int], dict[str, Any]]
) -> Callable[[], Response]:
    def work() -> Response:
        served = recognising.listed(desk, changing=True)
        count = sum(same_name(name) == same_name(subject) for name, _ in served.sources())
        try:
            person = served.remove(subject)
        except EntryError as error:
            extra = {"code": UNKNOWN, "message": f"Subject {subject} not found"}
            detail = "nobody of this name is on the watch-list"
            raise Problem(404, detail, extra=extra) from error
        return JSONResponse(words(person.name, count))

    return work


def _similarity(false_match_rate: float) -> float:
    return round(1 - false_match_rate, 6)


def _id(source: str) -> str:
    """In the form of a UUID, as theirs are; the same for the same picture."""
    cuts = (0, 8, 12, 16, 20, 32)
    return "-".join(source[a:b] for a, b in pairwise(cuts))


def _answers(description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description}, **documents.PICTURE_FAILURES}
