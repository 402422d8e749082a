"""The REST API: `facecctv.api.app.create_app` makes it, `facecctv.api.server.run` serves it."""
