"""What the bundled program does first: started without arguments, it opens the app."""

import sys

from facecctv.cli import main

LEFT_OUT = {
    "facecctv.learn": "training is not part of this program: pip install 'facecctv[learn]'",
    "av": "video is not part of this program: pip install facecctv",
}
"""By the package that is missing (packaging/facecctv.spec)."""

try:
    status = main(sys.argv[1:] or ["app"])
except ModuleNotFoundError as error:
    missing = f"{error.name}."
    reasons = [reason for name, reason in LEFT_OUT.items() if missing.startswith(f"{name}.")]
    if not reasons:
        raise
    status = f"facecctv: {reasons[0]}"
sys.exit(status)
