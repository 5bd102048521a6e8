"""The REST API: every operation over HTTP, on FastAPI. `server.py` starts it, `app.py` puts it together."""
