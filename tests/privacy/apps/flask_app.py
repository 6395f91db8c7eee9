"""Flask on Werkzeug's server."""

from __future__ import annotations

import sys

from flask import Flask, Response, request

import brakit
from tests.privacy.apps import actions

app = Flask(__name__)


@app.get("/work/<int:number>")
def work(number: int) -> str:
    actions.run(number)
    return "done"


@app.get("/answer/<int:number>")
def answer(number: int) -> Response:
    body, content_type, headers = actions.answered(number)
    return Response(body, content_type=content_type, headers=headers)


@app.route("/echo/<path:rest>", methods=["GET", "POST", "PUT"])
def echo(rest: str) -> str:
    return str(len(request.get_data()))


@app.get("/flush")
def flush() -> str:
    return str(brakit.flush(20))


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), threaded=True)
