"""One static page over all results in a folder: opens in any browser, asks nothing of a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from facecctv import __version__
from facecctv.cli.improve import ESTIMATED
from facecctv.cli.outputs import RESULT, result_in
from facecctv.cli.pictures import DECISIONS, UNUSABLE, attribute_words
from facecctv.schema import Body, Face, Result
from facecctv.vision.drift import drift_words

STYLE = """
:root{color-scheme:light dark;--ground:#f4f5f7;--card:#fff;--text:#1b1e24;--dim:#5b6472;
--line:#dfe3e8;--good:#0a7a45;--fair:#8a5a00;--poor:#b3261e;--none:#5b6472}
@media(prefers-color-scheme:dark){:root{--ground:#16181c;--card:#24272d;--text:#f4f6f8;
--dim:#a8aeb8;--line:#383d46;--good:#40dc82;--fair:#ffbe3c;--poor:#ff7a72;--none:#a8aeb8}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 3rem;background:var(--ground);
color:var(--text);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0}h3{font-size:1rem;margin:1rem 0 .5rem}
h2{font-size:1.1rem;margin:0;overflow-wrap:anywhere}
p{margin:.2rem 0}.dim{color:var(--dim);font-size:.875rem}a{color:inherit}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;
padding:1rem;margin-top:1.25rem}
.scene{display:block;max-width:100%;max-height:70vh;border-radius:.5rem;margin:.75rem 0}
ul{list-style:none;margin:0;padding:0;display:grid;gap:.75rem;
grid-template-columns:repeat(auto-fill,minmax(15rem,1fr))}
li{display:flex;gap:.75rem;border:1px solid var(--line);border-radius:.5rem;padding:.6rem}
li img{width:6rem;height:6rem;object-fit:contain;background:#0003;border-radius:.25rem;
image-rendering:pixelated;flex:none}
.views{display:flex;flex-wrap:wrap;gap:.5rem;align-content:start}
figure{margin:0}figcaption{font-size:.75rem;color:var(--dim);max-width:11rem}
li:has(figure+figure){grid-column:1/-1;flex-wrap:wrap}li>div+div{flex:1 1 9rem}
li:has(figure+figure) img{width:11rem;height:11rem}li img.made{image-rendering:auto}
.kept{color:var(--good)}.unknown{color:var(--fair)}.drifted{color:var(--poor);font-weight:600}
.decision{font-weight:600}.match{color:var(--poor)}.inconclusive{color:var(--fair)}
.grade{font-weight:600}.identification,.recognition{color:var(--good)}
.observation{color:var(--fair)}.presence{color:var(--poor)}.unusable{color:var(--none)}
"""
_NOTE = (
    "A grade says what the pixels of a face are good enough for; it names nobody. "
    "Faces can be missed and things can be mistaken for faces: look at the picture. "
    "Enhanced pixels are estimated and colour is a guess: judge persons by what was recorded."
)

_HUMAN = "A lead, not proof: a person decides."
_MADE = ' class="made"'
"""Marks pictures that were not recorded: the browser may smooth them."""


def render(out: Path) -> str:
    """The page for every result of `examine` in the folder, by name; names are escaped."""
    found = list(_results(out))
    faces = sum(len(result.faces) for _, result in found)
    sections = "\n".join(_section(folder, result) for folder, result in found)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Faces found</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{_number(faces, "face")} in {_number(len(found), "picture")}</h1>
<p class="dim">{_NOTE}</p>
{sections}
<p class="dim">FaceCCTV {__version__}</p>
</body>
</html>
"""


def _results(out: Path) -> Iterator[tuple[str, Result]]:
    for folder in sorted(out.iterdir()):
        if folder.name.startswith(".") or result_in(folder) is None:
            continue
        try:
            yield folder.name, Result.model_validate_json((folder / RESULT).read_bytes())
        except ValidationError:
            # Of another version: shown by that version's own page only.
            continue


def _section(folder: str, result: Result) -> str:
    source, at = escape(result.source), _link(folder)
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
    return f"""<li><div class="views">{_figure(link, f"Body {number}", "as recorded")}</div>
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
    return f"""<li><div class="views">{"".join(_views(at, number, face))}</div>
<div><p><span class="grade {mark}">{number} · {grade.capitalize()}</span></p>
<p class="dim">{height} · score {face.box.probability:.2f}</p>
<p class="dim">{verdict}</p>{_estimated(face)}{_searched(face)}{_drift(face)}</div></li>"""


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
    yield _figure(f"{at}/crops/{name}", f"Face {number}", "as recorded")
    if face.enhancement is not None:
        how = f"enhanced x{face.enhancement.scale} ({face.enhancement.step})"
        yield _figure(f"{at}/enhanced/{name}", f"Face {number}, enhanced", how, _MADE)
        added = "what was added; grey is nothing"
        yield _figure(f"{at}/changes/{name}", f"Face {number}, changes", added, _MADE)
    if face.colour is not None:
        made = f"Face {number}, coloured"
        yield _figure(f"{at}/coloured/{name}", made, ESTIMATED, _MADE)


def _figure(link: str, alternative: str, caption: str, kind: str = "") -> str:
    return (
        f'<figure><a href="{link}"><img{kind} src="{link}" loading="lazy"\n'
        f'alt="{alternative}"></a><figcaption>{escape(caption)}</figcaption></figure>'
    )


def _drift(face: Face) -> str:
    if face.enhancement is None:
        return ""
    drift = face.enhancement.drift
    words = escape(drift_words(drift))
    return f'\n<p class="dim">Enhanced: <span class="{drift.verdict}">{words}</span></p>'


def _link(folder: str) -> str:
    return quote(os.fsencode(folder))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
