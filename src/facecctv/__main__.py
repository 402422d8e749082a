"""`python -m facecctv`, the same as the command `facecctv`."""

import sys

from facecctv.cli import main

sys.exit(main())
