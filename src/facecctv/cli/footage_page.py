"""One static page over all videos in a folder: opens in any browser, asks nothing of a network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from facecctv.cli.html import document, drift_line, figure, number, results
from facecctv.cli.outputs import RESULT
from facecctv.cli.pictures import UNUSABLE
from facecctv.schema.footage import Footage, Person

INDEX = "footage.html"

_MORE_STYLE = """
.line{position:relative;height:.6rem;border-radius:.3rem;background:var(--line);margin:.4rem 0}
.line i{position:absolute;top:0;bottom:0;min-width:3px;border-radius:.3rem;background:var(--good)}
.shots{display:flex;flex-wrap:wrap;gap:.5rem}.shots img{width:7rem;height:7rem}
.shots figcaption{max-width:7rem}
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
    found = list(results(out, Footage))
    people = sum(len(result.people) for _, result in found)
    sections = "\n".join(_section(at, result) for at, result in found)
    heading = f"{number(people, 'person', 'people')} in {number(len(found), 'video')}"
    return document("People found", heading, _NOTE, sections, _MORE_STYLE)


def _section(at: str, result: Footage) -> str:
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
    passages = number(len(person.passages), "passage")
    title = f"Person {person.number} · {grade.capitalize()}"
    return f"""<li><p><span class="grade {mark}">{title}</span>
<span class="dim">{_clock(person.first)} to {_clock(person.last)} · {passages} ·
{number(person.sights, "sight")}</span></p>
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
        yield figure(f"{at}/{link}", name, f"as recorded, {_clock(sight.time)}")
    if files.fused is not None and person.fusion is not None:
        used = len(person.fusion.frames)
        yield figure(f"{at}/{files.fused}", f"{name}, fused", f"fused of {used} frames", made=True)
    if files.changes is not None:
        said = "what fusing changed; grey is nothing"
        yield figure(f"{at}/{files.changes}", f"{name}, changes", said, made=True)
    if files.coloured:
        said = "colour is estimated, not recorded"
        yield figure(f"{at}/{files.coloured[0]}", f"{name}, coloured", said, made=True)
    if files.enhanced is not None and person.enhancement is not None:
        how = f"enhanced x{person.enhancement.scale} ({person.enhancement.step})"
        yield figure(f"{at}/{files.enhanced}", f"{name}, enhanced", how, made=True)


def _drift(person: Person) -> str:
    if person.enhancement is None:
        return ""
    steady = person.steadiness
    more = f"; adds {steady.added:+.1f} CIELAB from sight to sight" if steady else ""
    return drift_line(person.enhancement.drift, more)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{minutes}:{rest:04.1f}"
    return f"{hours}:{text:>06}" if hours else text
