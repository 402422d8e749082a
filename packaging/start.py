"""What the bundled program does first: started without arguments, it opens the app."""

import sys

from facecctv.cli import main

sys.exit(main(sys.argv[1:] or ["app"]))
