"""`facecctv app` with the web app that the tests made: runner.py WEB ARGUMENT…"""

import sys
from pathlib import Path

from facecctv.api import pages
from facecctv.cli import main

pages.WEB = Path(sys.argv[1])
sys.exit(main(["app", *sys.argv[2:]]))
