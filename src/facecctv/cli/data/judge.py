"""`facecctv data check | explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facecctv.cli.data.common import Folder, Format, load, next_step, progress, report_faults


def check(
    data: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The report.")] = Path("check.html"),
    split: Annotated[
        Path | None, typer.Option("--split", help="A manifest, to find leaks across its splits.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A label that may occur [default: face].")
    ] = None,
    any_label: Annotated[bool, typer.Option("--any-label", help="Accept all labels.")] = False,
    least: Annotated[float, typer.Option(min=0, help="Boxes below so many pixels are tiny.")] = 8,
    enough: Annotated[bool, typer.Option(help="Estimate whether it is enough.")] = True,
    format: Format = "auto",
) -> int:
    """Find what is wrong, and estimate whether it is enough.

    Unreadable pictures, missing and broken labels, boxes outside and tiny, duplicates, leaks across
    splits, balance. The exit status is 1 if anything should be mended before training.
    """
    from facecctv.learn.data import check as work
    from facecctv.learn.data.enough import Curve
    from facecctv.learn.data.manifest import read_manifest

    dataset = load(data, format)
    manifest = read_manifest(split) if split else None
    expected = None if any_label else (label or ["face"])
    with progress(len(dataset), "pictures") as step:
        findings = work.check(
            dataset, manifest, expected, least, enough=enough, step=lambda: step(1)
        )
    work.write_report(findings, out)
    report_faults(findings.faults)
    warnings = len(findings.faults) - findings.errors
    print(f"{out}: {findings.errors:,} errors, {warnings:,} warnings")
    for name, count in findings.balance.items():
        print(f"  {name}: {count:,}")
    curve = findings.curve
    print(f"Enough? {curve.verdict if isinstance(curve, Curve) else curve}")
    if findings.errors:
        next_step(f"mend what {out} shows, then check again")
    else:
        by = " --by cluster" if findings.look_alikes else ""
        next_step(f"facecctv data split {data}{' --by identity' if findings.people else by}")
    return int(findings.errors > 0)


def explore(
    data: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The report.")] = Path("explore.html"),
    format: Format = "auto",
) -> int:
    """Show what a data set holds: people, sizes, light, attributes and how they go together."""
    from facecctv.learn.data import explore as work

    dataset = load(data, format)
    with progress(len(dataset), "pictures") as step:
        overview = work.explore(dataset, lambda: step(1))
    work.write_report(overview, out)
    status = report_faults(overview.faults)
    print(
        f"{out}: {len(dataset):,} pictures, {len(overview.per_person):,} people, "
        f"{len(overview.box_heights):,} boxes, {len(overview.attributes):,} attributes"
    )
    next_step(f"facecctv data check {data}")
    return status
