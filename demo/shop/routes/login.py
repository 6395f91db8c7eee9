"""Logging in and out."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

from fastapi import APIRouter, Cookie, HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from demo.shop.answers import Me
from demo.shop.database import Session
from demo.shop.models import Customer
from demo.shop.passwords import matches
from demo.shop.sessions import COOKIE, close_login, open_login

router = APIRouter()
logger = logging.getLogger("shop.login")


class Credentials(BaseModel):
    email: str
    password: str


@router.post("/login")
async def log_in(credentials: Credentials, request: Request, response: Response, session: Session) -> Me:
    """Open a session and set its cookie."""
    customer = await session.scalar(select(Customer).where(Customer.email == credentials.email))
    # The hash is slow by design: off the event loop with it.
    if customer is None or not await asyncio.to_thread(matches, credentials.password, customer.password):
        logger.warning("failed log-in")
        raise HTTPException(401, "Wrong address or password.")
    days = request.app.state.settings.session_days
    token = await open_login(session, customer, days)
    await session.commit()
    response.set_cookie(COOKIE, token, max_age=days * 86_400, httponly=True, samesite="lax")
    logger.info("customer %d logged in", customer.id)
    return Me.model_validate(customer)


@router.post("/logout", status_code=204)
async def log_out(response: Response, session: Session, shop_session: Annotated[str | None, Cookie()] = None) -> None:
    """Close the session, if there is one."""
    if shop_session is not None:
        await close_login(session, shop_session)
        await session.commit()
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
