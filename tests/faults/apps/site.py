"""The Django project: two models, some views, two of them of the REST framework. Imported once Django is set up."""

# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, models, transaction
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from tests.faults.apps.wsgi import Shop

shop = Shop()


class Customer(models.Model):
    name: Any = models.CharField(max_length=20, unique=True)

    class Meta:
        app_label = "faults"


class Order(models.Model):
    customer: Any = models.ForeignKey(Customer, on_delete=models.CASCADE)

    class Meta:
        app_label = "faults"


def order(request: Any, id: int) -> Any:
    return JsonResponse(shop.order(id))


def fail(request: Any) -> Any:
    shop.fail()


def stream(request: Any) -> Any:
    return StreamingHttpResponse(shop.stream(), content_type="text/plain")


def work(request: Any) -> Any:
    said: list[object] = []
    with transaction.atomic():
        ann = Customer.objects.create(name="ann")
        Customer.objects.bulk_create([Customer(name="bob"), Customer(name="eve")])
        Order.objects.create(customer=ann)
    try:
        with transaction.atomic():
            Customer.objects.create(name="ann")
    except IntegrityError as error:
        said.append(str(error))
    said += [order.customer.name for order in Order.objects.all()]
    said += list(Customer.objects.order_by("name").values_list("name", flat=True))
    said += [one.name for one in Customer.objects.order_by("name").iterator(chunk_size=1)]
    for _ in range(Customer.objects.count()):
        shop.did("row")
    Customer.objects.all().delete()
    return HttpResponse(str(said), content_type="text/plain")


@api_view(["POST"])
def echo(request: Any) -> Any:
    return Response(request.data)


@api_view(["GET"])
@permission_classes([IsAuthenticated])
def denied(request: Any) -> Any:
    return Response({})


urlpatterns = [
    path("orders/<int:id>/", order),
    path("fail/", fail),
    path("stream/", stream),
    path("work/", work),
    path("api/echo/", echo),
    path("api/denied/", denied),
]
