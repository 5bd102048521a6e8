"""The REST API: every operation over HTTP, on FastAPI. `server.py` starts it, `app.py` puts it together."""

# Names that clients call it by, separated by white space: for containers, and for the process that `--dev` starts anew.
HOST_NAMES = "LIVCHAT_API_HOST_NAMES"
