"""The payments application."""

import brakit  # noqa: F401

# isort: split

import os
from pathlib import Path

from flask import Flask
from sqlalchemy.orm import sessionmaker

from demo.payments.database import connect
from demo.payments.routes import payments


def create_app(database: Path) -> Flask:
    """Build the application over the database at `database`; its engine is `config["ENGINE"]`."""
    app = Flask(__name__)
    engine = connect(database)
    app.config["ENGINE"] = engine
    app.config["SESSIONS"] = sessionmaker(engine, expire_on_commit=False)
    app.register_blueprint(payments)
    return app


app = create_app(Path(os.environ["PAYMENTS_DATABASE"]))
