"""`facecctv evaluate embedder`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import options, people
from facecctv.cli.outputs import folder
from facecctv.cli.tables import aligned
from facecctv.errors import InputError
from facecctv.image import shown, write_atomic
from facecctv.learn import pair_plots, plots, stated, verification


@dataclass(frozen=True)
class EmbedderReport:
    """Error rates by size of the probe, and how far stated false-match rates hold."""

    model: str
    people: int
    pictures: int
    sizes: tuple[verification.SizeReport, ...]
    judged: dict[int | None, tuple[stated.StatedRate, ...]]

    def to_json(self) -> str:
        """One object; the probe that is as stored has null for its height."""
        rows = [
            {
                "probe_px": size.height,
                "pairs": len(size.similarities),
                "eer": round(size.eer, 6),
                "tar": {f"{far:g}": round(tar, 6) for far, tar in size.tar.items()},
                "stated": [_rate(one) for one in self.judged[size.height]],
            }
            for size in self.sizes
        ]
        about = {"model": self.model, "people": self.people, "pictures": self.pictures}
        return json.dumps(about | {"sizes": rows}, allow_nan=False)


def embedder(
    data: Annotated[
        Path,
        typer.Argument(help="Folder of training data with the set identities.", show_default=False),
    ],
    model: people.Embedder = build.FACE_EMBEDDER,
    split: Annotated[str, typer.Option(help="Rows of this split.")] = "val",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for report.json and calibration.png.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measure an embedder on labelled people, one face clean, the other made small and bad.

    Error rates by size, and false-match rates stated against measured: a calibration fitted to one
    half of the people is judged on strangers of the other half.
    """
    if out is not None:
        plots.require()  # before the long work, not after it
    recogniser = build.recogniser(options.environment(), model, mirror=True)
    _ = recogniser.card
    identities = data / "identities"
    if not identities.is_dir():
        raise InputError(f"{shown(data)}: has no folder identities")
    seen = verification.see_people(recogniser.embed, identities, split=split)
    pairs = verification.draw_pairs(seen.people, stated.FITTED)
    report = EmbedderReport(
        recogniser.name,
        len(set(seen.people.tolist())),
        len(seen.people),
        tuple(verification.verification(seen, pairs)),
        stated.judge(seen),
    )
    if out is not None:
        folder(out)
        write_atomic(out / "report.json", (report.to_json() + "\n").encode())
        panels = {_name(size): rates for size, rates in report.judged.items()}
        for kind, content in pair_plots.stated_and_measured(panels).items():
            write_atomic(out / f"calibration.{kind}", content)
    print(report.to_json() if as_json else _table(report))


def _rate(one: stated.StatedRate) -> dict[str, float]:
    low, high = one.interval
    rates = {"measured": one.measured, "low": low, "high": high}
    known = {name: round(value, 6) for name, value in rates.items()}
    return {"rate": one.stated, **known, "passed": one.passed, "pairs": one.pairs}


def _name(size: int | None) -> str:
    return "as stored" if size is None else f"{size} px"


def _table(report: EmbedderReport) -> str:
    head = ["probe", "EER", "TAR at 1e-2", "TAR at 1e-3"]
    rows = [[*head, *(f"FMR at {rate:g}" for rate in stated.RATES)]]
    for size in report.sizes:
        found = [size.eer, *size.tar.values()]
        measured = [f"{one.measured:.2g}" for one in report.judged[size.height]]
        rows.append([_name(size.height), *(f"{value:.3f}" for value in found), *measured])
    about = f"{report.model}, {report.people} people, {report.pictures} pictures"
    return f"{about}\n\n{aligned(rows)}"
