"""What the server keeps and what not, in short. docs/privacy.md says the same with reasons; a test
holds the two together.
"""

from __future__ import annotations

from pydantic import BaseModel

from facecctv.api.served import ServedList


class Privacy(BaseModel):
    """The reply to `GET /v1/privacy`."""

    not_kept: tuple[str, ...] = (
        "Pictures, crops and results are held in memory for one request and never written to disk.",
        (
            "Videos, and what is found in them, are held in memory for the life of a job and never "
            "written to disk."
        ),
        "File names, faces and option values are never logged.",
        "Nothing is sent anywhere: no telemetry, no update check, no fetching of addresses.",
        "Pictures are never used for training.",
    )
    wiped: tuple[str, ...] = (
        "The received file and the decoded picture are overwritten with zeros after the reply.",
        (
            "A job's video, as it came and covered, is overwritten with zeros when the job is "
            "deleted, when nobody has asked for it for job_idle_seconds, and when the server ends."
        ),
    )
    not_wiped: tuple[str, ...] = (
        "Copies inside Python, the decoders and the network engine are freed, not overwritten.",
        "The system may swap memory to disk: encrypt or disable swap where that matters.",
    )
    kept: tuple[str, ...] = (
        "Per request, on standard error: method, route, status, duration and size.",
        "Counters of the same since the start, in memory, shown at /metrics.",
        (
            "Of each job, in memory while it lives: who began it, by key or address, and what the "
            "file was called."
        ),
        "How often each client asked in the last minute, in memory, by key or address.",
        "Of API keys only their SHA-256 and name, in the file that the operator named.",
    )

    @classmethod
    def of(cls, served: ServedList | None, *, watching: bool = False) -> Privacy:
        """With what a watch-list adds, and what watching cameras does."""
        usual = cls()
        kept, not_wiped = usual.kept, usual.not_wiped
        if served is not None:
            kept = (*kept, *SEARCHED, *(() if served.enrolling is None else ENROLLED))
            not_wiped = (*not_wiped, IN_MEMORY)
        return cls(kept=(*kept, *WATCHED) if watching else kept, not_wiped=not_wiped)


SEARCHED = (
    (
        "Of each face searched for in the watch-list, in the list's log: when, by whom (key or "
        "address), why, the SHA-256 of the picture, who was named, and the decision. No picture."
    ),
)
WATCHED = (
    "Of each camera that is watched, the newest frame, in memory, until the watch ends.",
    (
        "Of people before these cameras, the last 200 events with the best sight of each face, and "
        "whom of a watch-list it may be, in memory, until the watch ends."
    ),
)
ENROLLED = (
    (
        "Of people whom clients enrol, sealed in the watch-list: name, purpose, owner, last day, "
        "and the embedding of the face, until they are removed. No picture."
    ),
)
IN_MEMORY = "The watch-list's names and embeddings are in memory, unsealed, while the server runs."
