"""Routes about who somebody is: `POST /v1/compare`, `POST /v1/search`, `/v1/watchlist`.

They exist on every server; where the recogniser or a watch-list is missing they answer 503.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from facecctv import schema
from facecctv.api import documents, recognising, replies
from facecctv.api.desk import Desk, Seen
from facecctv.api.options import LookingQuery
from facecctv.api.problems import Problem, documented
from facecctv.api.recognising import Largest, Meant, Recognition, Threshold
from facecctv.errors import EntryError
from facecctv.identity.calibrate import RATE
from facecctv.identity.entries import today_utc
from facecctv.identity.matching import LIMIT, compare
from facecctv.identity.watchlist import Entry
from facecctv.types import Portrait

PICTURES = ("a", "b")
LONGEST_NAME = 200

BoxText = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})?(,[0-9]{1,6}(\.[0-9]{1,3})?){3}$",
        description="The face that is meant: x_min,y_min,x_max,y_max in pixels of the picture.",
        examples=["10,20,60,90"],
    ),
]
Rate = Annotated[
    float,
    Query(gt=0, lt=1, description="How often different people may pass for one; 0.001: of 1,000."),
]
Name = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME, description="Of the person.")]
By = Annotated[str, Query(max_length=200, description="Who searches, for the log.")]


class Listed(BaseModel):
    """Somebody on the watch-list; no embeddings and no pictures."""

    name: str
    purpose: str
    owner: str
    added: str
    """ISO 8601."""
    expires: str
    """The last day on which the entry counts."""
    expired: bool
    templates: int
    """From so many pictures."""
    note: str | None = None

    @classmethod
    def of(cls, entry: Entry, today: date) -> Listed:
        """What may be told of an entry."""
        facts = entry.person.to_json()
        return cls(expired=entry.person.expired(today), templates=entry.templates, **facts)


class List(BaseModel):
    """The server's watch-list."""

    purpose: str
    owner: str
    rate: float
    """How often a whole search may find a stranger."""
    enrol_days: int | None = None
    """So long an entry that a client makes lasts at most; absent where clients make none."""
    people: tuple[Listed, ...]


def routes(desk: Desk) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/v1", tags=["people"])
    _add_compare(router, desk)
    _add_search(router, desk)
    _add_list(router, desk)
    return router


def _add_compare(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/compare",
        summary="Are they the same person?",
        response_model=schema.Verification,
        responses={
            200: {"description": "What the comparison comes to, and the two faces."},
            **documents.PICTURE_FAILURES,
        },
        openapi_extra=documents.pictures_body(PICTURES),
    )
    async def compare_two(
        request: Request,
        largest: Largest = False,
        box_a: BoxText = None,
        box_b: BoxText = None,
        rate: Rate = RATE,
        threshold: Threshold = None,
    ) -> Response:
        """Two pictures with one face each; of several, a box or `largest` says which is meant.

        The decision is `match`, `no_match`, `inconclusive` or `insufficient_quality` at the
        false-match rate asked for; it is a lead, and a person decides. A picture without a face,
        or with several, is 422 with `reason` no-face or several-faces and `picture` a or b. 503
        where no calibrated recogniser is installed.
        """
        looking = recognising.looking_for_one(threshold)

        def work(seen: Sequence[Seen]) -> Response:
            recognition = Recognition.of(desk, seen[0])
            scale = recognition.calibration()
            pipeline = looking.pipeline(desk)
            meant: list[Meant] = []
            found: list[Portrait] = []
            for name, one, box in zip(PICTURES, seen, (box_a, box_b), strict=True):
                try:
                    meant.append(recognising.one_face(desk, one, looking, largest=largest, box=box))
                except Problem as problem:
                    raise problem.of(name) from problem
                found += recognition.portraits(pipeline, one, [meant[-1].face])
            evidence, verdict = compare(scale, found[0], found[1], rate)
            (judged,) = verdict.judgements
            a, b = map(recognising.told, seen, found, meant)
            return replies.json_reply(
                schema.Verification(
                    a=a,
                    b=b,
                    similarity=evidence.similarity,
                    false_match_rate=judged.false_match_rate,
                    log10_likelihood_ratio=judged.llr,
                    decision=verdict.decision,
                )
            )

        return await desk.answer_all(request, work, PICTURES)


def _add_search(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/search",
        summary="Who of the watch-list is this?",
        response_model=schema.Result,
        responses={
            200: {
                "description": "The faces, each with its decision and whom it may be.",
                "headers": documents.DIGEST,
            },
            **documents.PICTURE_FAILURES,
        },
        openapi_extra=documents.picture_body(),
    )
    async def search(
        request: Request,
        looking: LookingQuery,
        candidates: Annotated[int, Query(ge=1, le=LIMIT, description="Named at most.")] = LIMIT,
        by: By = "",
        reason: Annotated[str, Query(max_length=500, description="Why, for the log.")] = "",
    ) -> Response:
        """Every face against the list that the server was started with. Nobody is named for being
        nearest: `candidates` are those that match or may match, and often empty.

        Each face searched for is one line in the list's log, on the disk before the reply is sent.
        503 where the server has no list or no calibrated recogniser.
        """
        searcher = recognising.who(desk, request, by)

        def work(seen: Seen) -> Response:
            pipeline = looking.pipeline(desk)
            faces = looking.faces(desk, pipeline, seen.picture.image)
            found = recognising.search(desk, seen, faces, pipeline, searcher, reason, candidates)
            size = (seen.picture.width, seen.picture.height)
            plain = [replace(one, embedding=None) for one in found]
            return replies.json_reply(schema.Result.of(seen.name, seen.picture.sha256, size, plain))

        return await desk.answer(request, work)


def _add_list(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/watchlist",
        summary="Who is on the watch-list?",
        response_model=List,
        responses=documented((400, 401, 403, 429, 500, 503)),
    )
    async def show(request: Request) -> Response:
        """Names, purposes and expiry, in order of names; 503 where the server has no list."""

        def work() -> Response:
            served = recognising.listed(desk)
            today, how = today_utc(), served.enrolling
            return replies.json_reply(
                List(
                    purpose=served.about["purpose"],
                    owner=served.about["owner"],
                    rate=served.rate,
                    enrol_days=None if how is None else how.days,
                    people=tuple(Listed.of(entry, today) for entry in served.entries()),
                )
            )

        return await desk.answer_plain(request, work)

    @router.post(
        "/watchlist",
        summary="Enrol somebody",
        response_model=Listed,
        responses={
            200: {"description": "The new entry.", "headers": documents.DIGEST},
            **documents.PICTURE_FAILURES,
        },
        openapi_extra=documents.picture_body(),
    )
    async def enrol(
        request: Request,
        name: Name,
        expires: Annotated[
            date | None, Query(description="Last day of the entry; else as the server says.")
        ] = None,
        note: Annotated[str, Query(max_length=2000)] = "",
        largest: Largest = False,
        threshold: Threshold = None,
    ) -> Response:
        """One picture with one face. Purpose, owner and the last possible day are the server's.
        The picture is not kept. 422 for a name that is
        taken; 403 where the server lets nobody change its list.
        """
        served = recognising.listed(desk, changing=True)
        looking = recognising.looking_for_one(threshold)

        def work(seen: Seen) -> Response:
            meant = recognising.one_face(desk, seen, looking, largest=largest)
            kept = recognising.template(desk, seen, meant.face, looking)
            seen.leave.check()
            try:
                person = served.add(name, kept, expires, note)
            except EntryError as error:
                raise recognising.refused(error) from error
            return replies.json_reply(Listed.of(Entry(person, 1, 0, 0), today_utc()))

        return await desk.answer(request, work)

    @router.delete(
        "/watchlist",
        summary="Take somebody off the watch-list",
        response_model=dict[str, str],
        responses=documented((400, 401, 403, 404, 422, 429, 500, 503)),
    )
    async def remove(request: Request, name: Name) -> Response:
        """Wipes every trace of the person from the list's file."""

        def work() -> Response:
            try:
                person = recognising.listed(desk, changing=True).remove(name)
            except EntryError as error:
                raise Problem(404, "nobody of this name is on the watch-list") from error
            return replies.plain({"removed": person.name})

        return await desk.answer_plain(request, work)
