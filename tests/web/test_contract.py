"""What the web app takes for granted about the server."""

import re
import runpy
from pathlib import Path

from facecctv.vision import quality

WEB = Path(__file__).parents[2] / "web"


def test_the_types_are_made_from_the_api_as_it_is():
    module = runpy.run_path(str(WEB / "openapi.py"))
    committed = (WEB / "openapi.json").read_text("utf-8")
    assert committed == module["described"](), "run: python web/openapi.py"


def test_the_web_app_knows_every_word_of_a_verdict():
    words = (WEB / "src/lib/i18n/verdict.ts").read_text("utf-8")
    patterns = [re.compile(p.replace("\\/", "/")) for p in re.findall(r"/(\^.+?\$)/,", words)]
    assert len(patterns) == len(quality._OBSTACLES)
    for obstacle, _ in quality._OBSTACLES.values():
        assert any(pattern.search(obstacle.format(width=12.0)) for pattern in patterns), obstacle
    for short in quality._SHORT_OF.values():
        assert f"'{short}'" in words


def test_the_lock_file_names_no_place_to_download_from():
    lock = (WEB / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
