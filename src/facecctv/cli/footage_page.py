"""One static page over all videos in a folder: opens in any browser, asks nothing of a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from facecctv import __version__
from facecctv.cli.outputs import RESULT, result_in
from facecctv.cli.page import STYLE
from facecctv.cli.pictures import UNUSABLE
from facecctv.schema.footage import Footage, Person
from facecctv.vision.drift import drift_words

INDEX = "footage.html"

_MORE_STYLE = """
.line{position:relative;height:.6rem;border-radius:.3rem;background:var(--line);margin:.4rem 0}
.line i{position:absolute;top:0;bottom:0;min-width:3px;border-radius:.3rem;background:var(--good)}
.shots{display:flex;flex-wrap:wrap;gap:.5rem}.shots img{width:7rem;height:7rem}
li{display:block}ul{grid-template-columns:repeat(auto-fill,minmax(24rem,1fr))}
@media(max-width:30rem){ul{grid-template-columns:1fr}}
"""
_NOTE = (
    "A person is a face that was followed; it names nobody. Faces can be missed, and one person "
    "can be counted twice: look at the video. Fused faces are measured by the camera in several "
    "frames, enhanced ones are estimated: judge persons by what was recorded."
)


def render(out: Path) -> str:
    """The page for every result of `footage` in the folder, by name; names are escaped."""
    found = list(_results(out))
    people = sum(len(result.people) for _, result in found)
    sections = "\n".join(_section(folder, result) for folder, result in found)
    title = f"{_number(people, 'person', 'people')} in {_number(len(found), 'video', 'videos')}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>People found</title>
<style>{STYLE}{_MORE_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p class="dim">{_NOTE}</p>
{sections}
<p class="dim">FaceCCTV {__version__}</p>
</body>
</html>
"""


def _results(out: Path) -> Iterator[tuple[str, Footage]]:
    for folder in sorted(out.iterdir()):
        if folder.name.startswith(".") or result_in(folder) is None:
            continue
        try:
            yield folder.name, Footage.model_validate_json((folder / RESULT).read_bytes())
        except ValidationError:
            # Of another command or version: shown by its own page only.
            continue


def _section(folder: str, result: Footage) -> str:
    at = quote(os.fsencode(folder))
    cards = "\n".join(_card(at, person, result.duration) for person in result.people)
    body = f"<ul>\n{cards}\n</ul>" if result.people else "<p>Nobody found.</p>"
    damaged = f" · {result.damaged} frames or packets damaged" if result.damaged else ""
    notes = "".join(f'<p class="dim">{escape(note)}</p>' for note in result.notes or ())
    return f"""<section>
<h2>{escape(result.source)}</h2>
<p class="dim">{result.width} x {result.height} px · {_clock(result.duration)} ·
{result.frames} frames, {result.looks} searched{damaged} · SHA-256 {result.sha256[:16]}… ·
<a href="{at}/sheet.png">contact sheet</a> · <a href="{at}/{RESULT}">{RESULT}</a></p>
{notes}{body}
</section>"""


def _card(at: str, person: Person, duration: float) -> str:
    grade = UNUSABLE
    quality = person.best[0].face.quality if person.best else None
    if quality is not None and quality.usable_for:
        grade = quality.usable_for[-1]
    mark = "unusable" if grade == UNUSABLE else grade
    verdict = escape(quality.verdict) if quality else ""
    passages = _number(len(person.passages), "passage", "passages")
    title = f"Person {person.number} · {grade.capitalize()}"
    return f"""<li><p><span class="grade {mark}">{title}</span>
<span class="dim">{_clock(person.first)} to {_clock(person.last)} · {passages} ·
{_number(person.sights, "sight", "sights")}</span></p>
{_timeline(person, duration)}
<div class="shots">{"".join(_shots(at, person))}</div>
<p class="dim">{verdict}</p>{_drift(person)}</li>"""


def _timeline(person: Person, duration: float) -> str:
    whole = max(duration, 1e-3)
    bars = "".join(
        f'<i style="left:{100 * one.first / whole:.2f}%;'
        f'width:{100 * (one.last - one.first) / whole:.2f}%" '
        f'title="passage {one.number}: {_clock(one.first)} to {_clock(one.last)}"></i>'
        for one in person.passages
    )
    return f'<div class="line">{bars}</div>'


def _shots(at: str, person: Person) -> Iterator[str]:
    files = person.files
    if files is None:
        return
    name = f"Person {person.number}"
    for link, sight in zip(files.crops, person.best, strict=True):
        yield _figure(f"{at}/{link}", name, f"as recorded, {_clock(sight.time)}", "")
    if files.fused is not None and person.fusion is not None:
        used = len(person.fusion.frames)
        yield _figure(f"{at}/{files.fused}", f"{name}, fused", f"fused of {used} frames", "made")
    if files.changes is not None:
        said = "what fusing changed; grey is nothing"
        yield _figure(f"{at}/{files.changes}", f"{name}, changes", said, "made")
    if files.coloured:
        said = "colour is estimated, not recorded"
        yield _figure(f"{at}/{files.coloured[0]}", f"{name}, coloured", said, "made")
    if files.enhanced is not None and person.enhancement is not None:
        how = f"enhanced x{person.enhancement.scale} ({person.enhancement.step})"
        yield _figure(f"{at}/{files.enhanced}", f"{name}, enhanced", how, "made")


def _figure(link: str, alternative: str, caption: str, kind: str) -> str:
    mark = f' class="{kind}"' if kind else ""
    return (
        f'<figure><a href="{link}"><img{mark} src="{link}" loading="lazy"\n'
        f'alt="{alternative}"></a><figcaption>{escape(caption)}</figcaption></figure>'
    )


def _drift(person: Person) -> str:
    if person.enhancement is None:
        return ""
    drift = person.enhancement.drift
    words = escape(drift_words(drift))
    steady = person.steadiness
    if steady is not None:
        words += f"; adds {steady.added:+.1f} CIELAB from sight to sight"
    return f'\n<p class="dim">Enhanced: <span class="{drift.verdict}">{words}</span></p>'


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{minutes}:{rest:04.1f}"
    return f"{hours}:{text:>06}" if hours else text


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
