"""`facecctv app` with a user who follows commands: one line of JavaScript on stdin, its value (a
line of JSON) on stdout. Closes when stdin ends.
"""

import json
import sys
import threading
import time

from facecctv.cli import main


def guide():
    import webview

    while not webview.windows or not webview.windows[0].events.loaded.wait(1):
        time.sleep(0.1)
    window = webview.windows[0]
    for line in sys.stdin:
        print(json.dumps(window.run_js(line)), flush=True)
    window.destroy()


threading.Thread(target=guide, daemon=True).start()
sys.exit(main(["app"]))
