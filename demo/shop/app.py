"""The shop's application."""

import brakit  # noqa: F401

# isort: split

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from sqlalchemy import select

from demo.shop.database import Session, connect, sessions_of
from demo.shop.payments import Payments
from demo.shop.routes import account, admin, cart, catalogue, checkout, home, login
from demo.shop.settings import Settings, from_environment

logger = logging.getLogger("shop")


def create_app(settings: Settings) -> FastAPI:
    """Build the application; `app.state` gets `settings`, `engine`, `sessions`, `client` and `payments`."""
    engine = connect(settings.database)
    client = httpx.AsyncClient(base_url=settings.payments_url, timeout=10, trust_env=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        settings.uploads.mkdir(parents=True, exist_ok=True)
        logger.info("the shop is open")
        async with client:
            yield
        await engine.dispose()

    app = FastAPI(title="Shop", lifespan=lifespan)
    app.state.settings = settings
    app.state.engine = engine
    app.state.client = client
    app.state.sessions = sessions_of(engine)
    app.state.payments = Payments(client)
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[settings.storefront],
        allow_credentials=True,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["content-type"],
    )
    for topic in (home, catalogue, cart, login, account, checkout, admin):
        app.include_router(topic.router)

    @app.get("/health")
    async def health(session: Session) -> dict[str, str]:
        await session.execute(select(1))
        return {"status": "ok"}

    return app


app = create_app(from_environment())
