"""One static page over all results in a folder: opens in any browser, asks nothing of a network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from facecctv.cli.html import document, drift_line, figure, number, results
from facecctv.cli.improve import ESTIMATED
from facecctv.cli.outputs import RESULT
from facecctv.cli.pictures import DECISIONS, UNUSABLE, attribute_words
from facecctv.schema import Body, Face, Result

_NOTE = (
    "A grade says what the pixels of a face are good enough for; it names nobody. "
    "Faces can be missed and things can be mistaken for faces: look at the picture. "
    "Enhanced pixels are estimated and colour is a guess: judge persons by what was recorded."
)

_HUMAN = "A lead, not proof: a person decides."


def render(out: Path) -> str:
    """The page for every result of `examine` in the folder, by name; names are escaped."""
    found = list(results(out, Result))
    faces = sum(len(result.faces) for _, result in found)
    sections = "\n".join(_section(at, result) for at, result in found)
    heading = f"{number(faces, 'face')} in {number(len(found), 'picture')}"
    return document("Faces found", heading, _NOTE, sections)


def _section(at: str, result: Result) -> str:
    source = escape(result.source)
    cards = "\n".join(_card(at, number, face) for number, face in enumerate(result.faces, 1))
    body = f"<ul>\n{cards}\n</ul>" if result.faces else "<p>No faces found.</p>"
    body += _bodies(at, result)
    return f"""<section>
<h2>{source}</h2>
<p class="dim">{result.width} x {result.height} px · SHA-256 {result.sha256[:16]}… ·
<a href="{at}/sheet.png">contact sheet</a> ·{_compared(at, result)}
<a href="{at}/{RESULT}">{RESULT}</a></p>
<a href="{at}/annotated.png"><img class="scene" src="{at}/annotated.png" loading="lazy"
width="{result.width}" height="{result.height}" style="height:auto;width:auto"
alt="{source} with its faces outlined"></a>
{body}
</section>"""


def _bodies(at: str, result: Result) -> str:
    """The people found, those without a face among them; nothing where they were not asked for."""
    if result.bodies is None:
        return ""
    if not result.bodies:
        return "\n<p>No bodies found.</p>"
    cards = "\n".join(_person(at, number, body) for number, body in enumerate(result.bodies, 1))
    return f"\n<h3>Bodies</h3>\n<ul>\n{cards}\n</ul>"


def _person(at: str, number: int, body: Body) -> str:
    link = f"{at}/crops/body-{number:02}.png"
    whose = "no face found" if body.face is None else f"face {body.face + 1}"
    height = f"{body.box.y_max - body.box.y_min:.0f} px high"
    return f"""<li><div class="views">{figure(link, f"Body {number}", "as recorded")}</div>
<div><p><span class="grade">Body {number}</span> · {whose}</p>
<p class="dim">{height} · score {body.box.probability:.2f}</p></div></li>"""


def _compared(at: str, result: Result) -> str:
    if result.files is None or not result.files.comparisons:
        return ""
    return f'\n<a href="{at}/before-after.png">before and after</a> ·'


def _card(at: str, number: int, face: Face) -> str:
    height = f"{face.box.y_max - face.box.y_min:.0f} px high"
    grade, verdict = UNUSABLE, ""
    if face.quality is not None:
        grade = face.quality.usable_for[-1] if face.quality.usable_for else UNUSABLE
        verdict = escape(face.quality.verdict)
    mark = "unusable" if grade == UNUSABLE else grade
    drift = drift_line(face.enhancement.drift) if face.enhancement else ""
    return f"""<li><div class="views">{"".join(_views(at, number, face))}</div>
<div><p><span class="grade {mark}">{number} · {grade.capitalize()}</span></p>
<p class="dim">{height} · score {face.box.probability:.2f}</p>
<p class="dim">{verdict}</p>{_estimated(face)}{_searched(face)}{drift}</div></li>"""


def _estimated(face: Face) -> str:
    """Age and gender, where they were asked for."""
    if face.age is None and face.gender is None and face.attributes is None:
        return ""
    return f"\n<p>Estimated: {escape(attribute_words(face))}</p>"


def _searched(face: Face) -> str:
    """Who of the watch-list it may be, in words."""
    if face.decision is None:
        return ""
    named = ", ".join(
        f"<strong>{escape(one.name)}</strong> (similarity {one.similarity:.2f}; "
        f"{_strangers(one.false_match_rate)})"
        for one in face.candidates or ()
    )
    words = DECISIONS[face.decision]
    return (
        f'\n<p>Watch-list: <span class="decision {face.decision}">{words}</span>'
        f'{": " if named else ""}{named}</p>\n<p class="dim">{_HUMAN}</p>'
    )


def _strangers(rate: float) -> str:
    """How often a search finds a stranger who is so alike."""
    if rate < 1e-6:
        return "fewer than 1 stranger in 1,000,000 searches is so alike"
    return f"1 stranger in {float(f'{1 / rate:.2g}'):,.0f} searches is so alike"


def _views(at: str, number: int, face: Face) -> Iterator[str]:
    """The face as recorded and what was made of it, all at one size."""
    name = f"face-{number:02}.png"
    yield figure(f"{at}/crops/{name}", f"Face {number}", "as recorded")
    if face.enhancement is not None:
        how = f"enhanced x{face.enhancement.scale} ({face.enhancement.step})"
        yield figure(f"{at}/enhanced/{name}", f"Face {number}, enhanced", how, made=True)
        added = "what was added; grey is nothing"
        yield figure(f"{at}/changes/{name}", f"Face {number}, changes", added, made=True)
    if face.colour is not None:
        made = f"Face {number}, coloured"
        yield figure(f"{at}/coloured/{name}", made, ESTIMATED, made=True)
