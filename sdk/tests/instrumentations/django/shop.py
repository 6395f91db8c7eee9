"""The project: its files, and what is run around it."""

from __future__ import annotations

SETTINGS = """
import os
DEBUG = os.environ.get("DEBUG") == "1"
SECRET_KEY = "a key for the test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.staticfiles",
    "rest_framework", "shop"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "shop.views.early"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
STATIC_URL = "/static/"
LOGIN_URL = "/login/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(os.path.dirname(__file__), "db.sqlite")}}
if os.environ.get("SCHEMA"):
    DATABASES["default"] = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "USER": "postgres", "NAME": "test",
        "OPTIONS": {"options": "-c search_path=" + os.environ["SCHEMA"]}}
if os.environ.get("MARIADB"):
    import pymysql
    pymysql.install_as_MySQLdb()
    DATABASES["default"] = {"ENGINE": "django.db.backends.mysql", "HOST": "127.0.0.1", "USER": "root", "NAME": os.environ["MARIADB"]}
LOGGING_CONFIG = None
"""

MODELS = """
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models

class Author(models.Model):
    name = models.CharField(max_length=100, unique=True)

class Book(models.Model):
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    title = models.CharField(max_length=100)

class Owner(models.Model):
    bio = models.TextField()

class Passport(models.Model):
    owner = models.OneToOneField(Owner, models.CASCADE, related_name="passport")

class Tag(models.Model):
    near = models.ManyToManyField("self")

class Note(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.IntegerField()
    about = GenericForeignKey()

class Pet(models.Model):
    owner = models.ForeignKey(Owner, models.CASCADE, related_name="pets")
    tags = models.ManyToManyField(Tag)
    notes = GenericRelation(Note)
"""

VIEWS = """
import asyncio
import logging
from asgiref.sync import sync_to_async
from django import http
from django.contrib.auth import authenticate, login
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin, UserPassesTestMixin
from django.core.exceptions import PermissionDenied
from django.utils.decorators import sync_and_async_middleware
from django.views import View
from shop.models import Author, Book

log = logging.getLogger("shop")

def early(get_response):
    def middleware(request):
        if request.path == "/early":
            return http.HttpResponse("who are you?", status=401)
        return get_response(request)
    return middleware

def order(request, id):
    log.warning("in the view")
    return http.JsonResponse({"id": id})

def fail(request):
    raise ValueError("broken")

def refuse(request):
    raise PermissionDenied

def stream(request):
    def chunks():
        for number in range(100):
            log.warning("streaming")
            yield f"{number:04}"
    return http.StreamingHttpResponse(chunks())

def authors(request):
    return http.JsonResponse({"names": [author.name for author in Author.objects.all()]})

async def aauthors(request):
    found = []
    async for author in Author.objects.all():
        found.append(author.name)
    first = await Author.objects.aget(id=1)
    log.warning("after")
    return http.JsonResponse({"names": found, "first": first.name})

async def astream(request):
    async def chunks():
        for number in range(3):
            await Author.objects.acount()
            await asyncio.sleep(0.001)
            yield f"{number} "
    return http.StreamingHttpResponse(chunks())

def marked(request, id):
    for book in Book.objects.filter(id=id):
        name = book.author.name
    log.warning("%d", id)
    return http.HttpResponse(name)

async def amarked(request, id):
    book = await Book.objects.select_related("author").aget(id=id)
    await asyncio.sleep(0.002)
    await sync_to_async(log.warning)("%d", id)
    await Author.objects.filter(id=id).aexists()
    return http.HttpResponse(book.author.name)

def echo(request):
    return http.HttpResponse(request.body)

def server_error(request):
    return http.HttpResponse("our own page", status=500)

class Orders(View):
    def get(self, request, id):
        return http.HttpResponse(f"order {id}")

def enter(request):
    user = authenticate(request, username=request.GET["name"], password=request.GET["password"])
    if user is None:
        return http.HttpResponse("no", status=403)
    login(request, user)
    return http.HttpResponse("yes")

@login_required
def mine(request):
    return http.HttpResponse("mine")

@permission_required("shop.add_book", raise_exception=True)
def add(request):
    return http.HttpResponse("added")

@user_passes_test(lambda user: user.username.startswith("a"))
def a_only(request):
    return http.HttpResponse("a")

@login_required
async def amine(request):
    return http.HttpResponse("mine")

def by_hand(request):
    return http.HttpResponse(str(request.user.has_perm("shop.delete_book")))

def by_hand_many(request):
    return http.HttpResponse(str(request.user.has_perms(["shop.delete_book", "shop.add_book"])))

def free(request):
    return http.HttpResponse("free")
free.login_required = False

class Mine(LoginRequiredMixin, PermissionRequiredMixin, View):
    permission_required = ("shop.add_book",)
    def get(self, request):
        Author.objects.count()
        return http.HttpResponse("mine")

class Tested(UserPassesTestMixin, View):
    def test_func(self):
        return self.request.user.username == "ann"
    async def get(self, request):
        return http.HttpResponse("tested")
"""

API = """
from django.contrib.auth.mixins import LoginRequiredMixin
from rest_framework import permissions, routers, serializers, viewsets
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.response import Response
from rest_framework.views import APIView
from shop.models import Author

class Staff(permissions.BasePermission):
    def has_permission(self, request, view):
        return request.user.is_staff
    def has_object_permission(self, request, view, obj):
        return False

class Serializer(serializers.ModelSerializer):
    class Meta:
        model = Author
        fields = ["id", "name"]

class Authors(viewsets.ModelViewSet):
    queryset = Author.objects.order_by("id")
    serializer_class = Serializer
    authentication_classes = [BasicAuthentication]
    permission_classes = [permissions.IsAuthenticated & ~Staff]

    @action(detail=True)
    def books(self, request, pk):
        return Response([])

class Open(APIView):
    authentication_classes = []
    permission_classes = [permissions.AllowAny]
    def get(self, request):
        return Response({})

class Broken(APIView):
    authentication_classes = [SessionAuthentication]
    def get(self, request):
        raise ValueError("broken")

class Both(LoginRequiredMixin, APIView):
    def get(self, request):
        return Response(status=404)

router = routers.DefaultRouter()
router.register("authors", Authors)
"""

URLS = """
from django.urls import include, path, re_path
from shop import api, views

admin = ([path("orders/<int:id>/", views.order, name="order")], "admin")
urlpatterns = [
    path("orders/<int:id>/", views.order),
    path("class/<slug:id>/", views.Orders.as_view()),
    path("admin/", include(admin, namespace="one")),
    re_path(r"^old/(?P<year>[0-9]{4})/", include([re_path(r"^(?:page-(\\d+)/)?$", views.order_of_year)])),
    path("fail/", views.fail), path("refuse/", views.refuse), path("stream/", views.stream), path("authors/", views.authors),
    path("aauthors/", views.aauthors), path("astream/", views.astream), path("echo/", views.echo), path("enter/", views.enter),
    path("mine/", views.mine), path("add/", views.add), path("a-only/", views.a_only), path("amine/", views.amine),
    path("by-hand/", views.by_hand), path("by-hand-many/", views.by_hand_many), path("free/", views.free),
    path("marked/<int:id>/", views.marked), path("amarked/<int:id>/", views.amarked),
    path("class-mine/", views.Mine.as_view()), path("tested/", views.Tested.as_view()),
    path("api/", include(api.router.urls)), path("api/open/", api.Open.as_view()), path("api/broken/", api.Broken.as_view()),
    path("api/both/", api.Both.as_view()),
]
handler500 = views.server_error
""".replace("views.order_of_year", "lambda request, *_, **named: views.order(request, named['year'])")

COMMANDS = {
    "fill": """
from django.core.management.base import BaseCommand
from shop.models import Author

class Command(BaseCommand):
    def handle(self, **options):
        Author.objects.create(name="ann")
        self.stdout.write("done")
""",
    "refuse": """
from django.core.management.base import BaseCommand, CommandError

class Command(BaseCommand):
    def handle(self, **options):
        raise CommandError("not today")
""",
    "crash": """
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    def handle(self, **options):
        raise ZeroDivisionError("crashed")
""",
    "rqworker": """
from django.core.management.base import BaseCommand
from shop.models import Author

class Command(BaseCommand):
    def handle(self, **options):
        Author.objects.count()
""",
}

HEAD = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
{imports}
django.setup()
from brakit import context
from brakit.client import current
from brakit.record import release_all
from django.db import connection, connections, transaction
from shop.models import Author, Book
"""
TAIL = """
assert current().failures.counts == {}, current().failures.first
"""
FILL = """
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
current().open = False
with connection.schema_editor() as editor:
    for model in apps.get_models():
        editor.create_model(model)
Author.objects.bulk_create([Author(name=f"a{n}") for n in range(1, 11)])
Book.objects.bulk_create([Book(author_id=n % 10 + 1, title=f"b{n}") for n in range(1, 31)])
User.objects.create_user("ann", password="secret")
bob = User.objects.create_user("bob", password="secret")
book = ContentType.objects.get_for_model(Book)
bob.user_permissions.set([Permission.objects.create(codename=name, content_type=book) for name in ("add_book", "delete_book")])
current().open = True
"""
SERVE = {
    "wsgi": """
import waitress.server
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application
server = waitress.server.create_server(StaticFilesHandler(get_wsgi_application()), host="127.0.0.1", port=0, threads=4)
print(server.effective_port, flush=True)
try:
    server.run()
except SystemExit:
    server.close()
""",
    "asgi": """
import asyncio, uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
app = ASGIStaticFilesHandler(get_asgi_application())
server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none", lifespan="off", timeout_graceful_shutdown=1))
server.install_signal_handlers = lambda: None
async def main():
    task = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    try:
        await task
    except asyncio.CancelledError:
        pass
asyncio.run(main())
""",
}
