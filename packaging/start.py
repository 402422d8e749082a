"""What the bundled program does first: started without arguments, it opens the app."""

import sys

from facecctv.cli import main

try:
    status = main(sys.argv[1:] or ["app"])
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("facecctv.learn"):
        raise
    status = "facecctv: training is not part of this program: pip install 'facecctv[learn]'"
sys.exit(status)
