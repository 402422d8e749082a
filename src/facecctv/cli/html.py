"""What the static pages over a folder of results share: frame, style, figures, words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from facecctv import __version__
from facecctv.cli.outputs import RESULT, result_in
from facecctv.schema import Drift
from facecctv.vision.drift import drift_words

Shown = TypeVar("Shown", bound=BaseModel)

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


def document(title: str, heading: str, note: str, sections: str, style: str = "") -> str:
    """A whole page; `sections` is HTML, all else plain words. Asks nothing of a network."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<h1>{escape(heading)}</h1>
<p class="dim">{escape(note)}</p>
{sections}
<p class="dim">FaceCCTV {__version__}</p>
</body>
</html>
"""


def results(out: Path, kind: type[Shown]) -> Iterator[tuple[str, Shown]]:
    """Each folder's name, as a link, and its result, by name.

    Those of another command or version are left to their own page.
    """
    for folder in sorted(out.iterdir()):
        if folder.name.startswith(".") or result_in(folder) is None:
            continue
        try:
            found = kind.model_validate_json((folder / RESULT).read_bytes())
        except ValidationError:
            continue
        yield quote(os.fsencode(folder.name)), found


def figure(link: str, alternative: str, caption: str, *, made: bool = False) -> str:
    """A picture with words under it; what was `made`, not recorded, the browser may smooth."""
    mark = ' class="made"' if made else ""
    return (
        f'<figure><a href="{link}"><img{mark} src="{link}" loading="lazy"\n'
        f'alt="{escape(alternative)}"></a><figcaption>{escape(caption)}</figcaption></figure>'
    )


def drift_line(drift: Drift, more: str = "") -> str:
    """Whether the enhanced face is still the same person, as a paragraph."""
    words = escape(drift_words(drift) + more)
    return f'\n<p class="dim">Enhanced: <span class="{drift.verdict}">{words}</span></p>'


def number(count: int, one: str, many: str = "") -> str:
    """As in "1 face", "2 faces", "2 people"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
