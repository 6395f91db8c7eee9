"""What an app gives away, and what only looks like it."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import flask
import requests
import sqlalchemy as sa

from tests.corpus import neighbour
from tests.corpus.cases import Family
from tests.corpus.hosts import Flask, at
from tests.corpus.shop import engine

case = Family("security", Flask(engine))
FAMILIES = [case]

KEY = "q7Zx" + "81nPwLk30sVbT5yR"
HASH = "$2b$12$" + "Qw9eRt7yUi3oPa5sDf1gHj" * 2


@case(expect={"exposed-secret": ""})
def users_with_their_hashes(db: sa.Engine) -> dict[str, Any]:
    return {"id": 1, "name": "Ada", "passwordHash": HASH}


@case(expect={"exposed-secret": ""})
def configuration_with_a_key(db: sa.Engine) -> dict[str, Any]:
    return {"region": "north", "client_secret": KEY}


@case(trap="a label of a form")
def translations(db: sa.Engine) -> dict[str, Any]:
    return {"password": "Please enter your password", "secret": "No secret is configured yet"}


@case(trap="hidden by the app itself")
def hidden(db: sa.Engine) -> dict[str, Any]:
    return {"api_key": "********", "password": "[REDACTED]"}


@case(trap="a log-in hands out its token")
@at("/login", method="POST", json={"user": "ada", "password": KEY})
def logs_in(db: sa.Engine) -> dict[str, Any]:
    return {"access_token": KEY, "token_type": "bearer"}


@case(expect={"token-in-url": ""})
@at("/report", f"/report?api_key={KEY}")
def key_in_the_url(db: sa.Engine) -> str:
    return "report"


@case(trap="the place in a list is a token of another kind")
@at("/list", f"/list?page_token={KEY}&state=open")
def page_token(db: sa.Engine) -> str:
    return "page"


@case(trap="OAuth sends its code and state in the URL")
@at("/oauth/callback", f"/oauth/callback?code={KEY}&state={KEY}")
def oauth(db: sa.Engine) -> str:
    return "welcome"


@case(expect={"stack-trace-leak": ""})
def answers_with_a_traceback(db: sa.Engine) -> tuple[str, int]:
    try:
        return {"tea": "4"}[db.name], 200
    except KeyError:
        return traceback.format_exc(), 500


@case(trap="a page about tracebacks")
def documentation(db: sa.Engine) -> str:
    return 'A traceback has lines such as File "app.py", line 3, in view, and ends with the error.'


@case(expect={"error-info-leak": ""})
def answers_with_the_database_error(db: sa.Engine) -> tuple[dict[str, str], int]:
    try:
        with db.connect() as connection:
            connection.execute(sa.text("SELECT name FROM missing_table WHERE id = 1"))
        return {}, 200
    except sa.exc.OperationalError as error:
        return {"error": str(error)}, 500


@case(trap="English that reads like SQL")
def select_from_the_list(db: sa.Engine) -> tuple[dict[str, str], int]:
    return {"error": "Please select an item from the list, then update your set and try again."}, 400


@case(trap="an error that says nothing")
def says_nothing(db: sa.Engine) -> tuple[dict[str, str], int]:
    return {"error": "Something went wrong."}, 500


def _with_cookie(name: str, **flags: Any) -> flask.Response:
    answer = flask.make_response("ok")
    answer.set_cookie(name, KEY, **flags)
    return answer


@case(expect={"insecure-cookie": "sessionid"})
def session_for_scripts(db: sa.Engine) -> flask.Response:
    return _with_cookie("sessionid")


@case(trap="all flags that plain HTTP can have")
def session_with_flags(db: sa.Engine) -> flask.Response:
    return _with_cookie("sessionid", httponly=True, samesite="Lax")


@case(trap="scripts have to read the token against forgery")
def csrf_cookie(db: sa.Engine) -> flask.Response:
    return _with_cookie("csrftoken", samesite="Lax")


@case(trap="a theme")
def theme_cookie(db: sa.Engine) -> flask.Response:
    answer = flask.make_response("ok")
    answer.set_cookie("theme", "dark")
    return answer


@case(expect={"sensitive-logs": ""})
def logs_a_password(db: sa.Engine) -> str:
    logging.getLogger("shop.login").warning("failed log-in, password=%s", KEY)
    return "no"


@case(trap="a sentence about a password")
def logs_a_sentence(db: sa.Engine) -> str:
    logging.getLogger("shop.login").warning("password: must not be empty; token: missing")
    return "no"


@case(expect={"cors-credentials": ""})
def cors_for_all(db: sa.Engine) -> flask.Response:
    answer = flask.make_response("{}")
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Allow-Credentials"] = "true"
    return answer


@case(trap="everybody may read it, without credentials")
def cors_without_credentials(db: sa.Engine) -> flask.Response:
    answer = flask.make_response("{}")
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


@case(expect={"response-pii-leak": ""})
def everybodys_address(db: sa.Engine) -> list[dict[str, Any]]:
    return [{"name": f"person {number}", "email": f"person{number}@mail.example"} for number in range(5)]


@case(trap="addresses of roles")
def contacts(db: sa.Engine) -> dict[str, Any]:
    return {"sales": "info@shop.example", "help": "support@shop.example"}


@case(trap="the client's own")
@at("/me")
def own_profile(db: sa.Engine) -> dict[str, Any]:
    return {"name": "Ada", "email": "ada.l@mail.example", "phone": "+44 20 7946 0000"}


@case(expect={"open-redirect": ""})
@at("/leave", "/leave?next=https%3A%2F%2Fwww.elsewhere.net%2Fin")
def redirects_anywhere(db: sa.Engine) -> Any:
    return flask.redirect(flask.request.args["next"])


@case(trap="back to a page of its own")
@at("/back", "/back?next=%2Forders%2F3")
def redirects_home(db: sa.Engine) -> Any:
    return flask.redirect(flask.request.args["next"])


@case(expect={"missing-timeout": ""})
def waits_for_ever(db: sa.Engine) -> str:
    return str(requests.get(f"{neighbour.address()}/rates").status_code)  # here: missing-timeout


@case(trap="a limit of time")
def waits_a_while(db: sa.Engine) -> str:
    return str(requests.get(f"{neighbour.address()}/rates", timeout=5).status_code)


@case(expect={"retry-storm": ""})
def tries_at_once(db: sa.Engine) -> str:
    tries = (requests.get(f"{neighbour.address()}/fail/now", timeout=5).status_code for _ in range(7))
    return str(next((status for status in tries if status == 200), "given up"))


@case(trap="two tries")
def tries_twice(db: sa.Engine) -> str:
    return str([requests.get(f"{neighbour.address()}/fail/now", timeout=5).status_code for _ in range(2)])
