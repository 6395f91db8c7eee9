"""Views of the classes of Django REST framework; imported by the routes, once Django is set up."""

# mypy: disable-error-code="import-untyped,misc"

from __future__ import annotations

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.truth.apps.django import sync


class Plain(APIView):
    def get(self, request: Request, marker: str) -> Response:
        return Response(sync.plain(marker))


class Pool(APIView):
    def get(self, request: Request, marker: str) -> Response:
        return Response(sync.pool(marker))


class Thread(APIView):
    def get(self, request: Request, marker: str) -> Response:
        return Response(sync.thread(marker))


class Stream(APIView):
    def get(self, request: Request, marker: str) -> StreamingHttpResponse:
        return StreamingHttpResponse(sync.stream(marker))


class Error(APIView):
    def get(self, request: Request, marker: str) -> Response:
        return Response(sync.error(marker))
