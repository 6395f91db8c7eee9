"""The routes of the apps on Django; each has the views that its server is meant for."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from django.urls import path

from tests.truth.apps import django as views
from tests.truth.apps import rest

urlpatterns = [
    path("sync/<marker>", views.plain),
    path("pool/<marker>", views.pool),
    path("thread/<marker>", views.thread),
    path("after/<marker>", views.after),
    path("stream/<marker>", views.stream),
    path("error/<marker>", views.error),
    path("once/<marker>", views.once_async),
    path("once_gather/<marker>", views.once_gather),
    path("async/<marker>", views.plain_async),
    path("gather/<marker>", views.gather_async),
    path("pool_async/<marker>", views.pool_async),
    path("thread_async/<marker>", views.thread_async),
    path("after_async/<marker>", views.after_async),
    path("stream_async/<marker>", views.stream_async),
    path("leave/<marker>", views.leave_async),
    path("error_async/<marker>", views.error_async),
    path("rest/sync/<marker>", rest.Plain.as_view()),
    path("rest/pool/<marker>", rest.Pool.as_view()),
    path("rest/thread/<marker>", rest.Thread.as_view()),
    path("rest/stream/<marker>", rest.Stream.as_view()),
    path("rest/error/<marker>", rest.Error.as_view()),
]
