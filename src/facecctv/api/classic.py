"""The routes of the first FaceCCTV: picture in, picture out; JPEG, or what `Accept` says."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from facecctv import __version__
from facecctv.api import documents, replies
from facecctv.api.desk import Desk, Seen
from facecctv.api.effort import check_effort
from facecctv.api.improving import UNCHANGED, Improving, ImprovingQuery
from facecctv.api.making import EnhancingQuery, answer, headers
from facecctv.api.options import Looking, LookingQuery
from facecctv.draw import outline
from facecctv.evidence.provenance import embedded
from facecctv.types import Face


def routes(desk: Desk) -> APIRouter:
    """Those whose capability is installed."""
    router = APIRouter(tags=["original FaceCCTV"])
    pipeline = desk.workshop.pipeline()

    @router.get("/status", summary="Is it running?", responses=documents.PLAIN_FAILURES)
    async def status() -> dict[str, str]:
        """Answers while the server runs."""
        return {"status": "ok", "version": __version__}

    @router.post(
        "/task/face-detection",
        summary="Outline faces",
        response_class=Response,
        responses=documents.only_pictures("The picture with the faces outlined."),
        openapi_extra=documents.picture_body(),
    )
    async def face_detection(request: Request, looking: LookingQuery) -> Response:
        """The picture with each face outlined and its score; `X-Faces` counts them."""
        return await desk.answer(request, _work(desk, request, looking, _score))

    @router.post(
        "/task/image-enhancement",
        summary="Enhance a picture",
        response_class=Response,
        responses=documents.made("The enhanced picture."),
        openapi_extra=documents.picture_body(),
    )
    async def image_enhancement(request: Request, making: EnhancingQuery) -> Response:
        """The picture, four times as large each way unless told otherwise. 503 where the model is
        not installed.
        """
        return await answer(desk, request, making, always="jpeg")

    if pipeline.assess is not None:
        assess = pipeline.assess

        @router.post(
            "/task/full-image-examination",
            summary="Outline faces and say what each is good for",
            response_class=Response,
            responses=documents.only_pictures("The picture with the faces outlined and judged."),
            openapi_extra=documents.picture_body(),
        )
        async def full_image_examination(
            request: Request, looking: LookingQuery, improving: ImprovingQuery
        ) -> Response:
            """The picture with each face outlined and the best use it is good enough for, judged
            by the original pixels. With `enhance` the picture is enlarged and its faces are
            enhanced, with `colourise` it is coloured; the headers say so.
            """

            def judged(seen: Seen, face: Face) -> str:
                seen.leave.check()
                uses = assess(seen.picture.image, face).usable_for
                return uses[-1] if uses else "unusable"

            work = _work(desk, request, looking, judged, improving)
            return await desk.answer(request, work, load=improving.load)

    return router


def _score(seen: Seen, face: Face) -> str:
    return f"{face.score:.2f}"


def _enlarged(face: Face, scale: int) -> Face:
    return Face(face.box * scale, face.landmarks * scale, face.score)


def _work(
    desk: Desk,
    request: Request,
    looking: Looking,
    label: Callable[[Seen, Face], str],
    improving: Improving = UNCHANGED,
) -> Callable[[Seen], Response]:
    format = replies.wanted_picture(request.headers.get("accept", "")) or "jpeg"
    pipeline = looking.pipeline(desk)

    def work(seen: Seen) -> Response:
        image = seen.picture.image
        faces = looking.faces(desk, pipeline, image)
        seen.leave.check()
        labels = [label(seen, face) for face in faces]
        process = improving.whole(desk, seen, faces)
        if process is None:
            return replies.picture_reply(outline(image, faces, labels), format, len(faces))
        check_effort(process.chain, image.shape[1], image.shape[0], desk.limits)
        larger = [_enlarged(face, improving.scale) for face in faces]
        shown = outline(process(image, seen.leave.check), larger, labels)
        words = embedded(
            seen.picture.sha256, process.steps, __version__, shows="the result with faces outlined"
        )
        data = replies.encoded(shown, format, words)
        said = headers(process.steps) | {"X-Faces": str(len(faces))}
        return Response(data, media_type=f"image/{format}", headers=said)

    return work
