"""The desktop app: the web app in a window, over a private server that ends with it.

`facecctv.desktop.program.start` puts it together; `facecctv app` calls it.
"""
