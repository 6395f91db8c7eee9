"""`_django_loads.py`: which attribute has sent a statement by its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]

FILL = """
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import models
from shop.models import Note, Owner, Passport, Pet, Tag
current().open = False
with connection.schema_editor() as editor:
    for model in apps.get_models():
        editor.create_model(model)
Owner.objects.bulk_create([Owner(bio=f"o{n}") for n in range(3)])
Passport.objects.bulk_create([Passport(owner_id=1), Passport(owner_id=2)])
Pet.objects.bulk_create([Pet(owner_id=n % 3 + 1) for n in range(6)])
Tag.objects.bulk_create([Tag(), Tag()])
Pet.tags.through.objects.bulk_create([Pet.tags.through(pet_id=n, tag_id=1) for n in range(1, 5)])
Tag.near.through.objects.bulk_create([Tag.near.through(from_tag_id=1, to_tag_id=2)])
kind = ContentType.objects.get_for_model(Pet)
Note.objects.bulk_create([Note(content_type=kind, object_id=n % 2 + 1) for n in range(4)])
ContentType.objects.clear_cache()
current().open = True
"""

LOADS = """
def body():
    pet = Pet.objects.get(id=1)  # -
    pet.owner.bio  # Pet.owner
    pet.owner.bio
    pet.owner_id
    Pet.objects.select_related("owner").get(id=1).owner.bio  # -
    [pet.owner for pet in Pet.objects.prefetch_related("owner")]  # - twice
    owner = Owner.objects.get(id=1)  # -
    assert len(owner.pets.all()) == 2  # Owner.pets
    [pet for pet in owner.pets.all()]  # Owner.pets
    later = owner.pets.all()
    bool(later)  # Owner.pets
    list(later)
    list(owner.pets.filter(id__gt=0))  # -
    list(owner.pets.order_by("id"))  # -
    owner.pets.count()  # -
    owner.pets.exists()  # -
    owner.pets.get(id=1)  # -
    for owner in Owner.objects.prefetch_related("pets__tags", "passport"):  # - four times
        [list(pet.tags.all()) for pet in owner.pets.all()]
        getattr(owner, "passport", None)
    owner = Owner.objects.get(id=1)  # -
    owner.passport  # Owner.passport
    owner.passport.owner
    Passport.objects.get(id=1).owner  # -, Passport.owner
    assert not hasattr(Owner.objects.get(id=3), "passport")  # -, Owner.passport
    list(pet.tags.all())  # Pet.tags
    list(Tag.objects.get(id=1).pet_set.all())  # -, Tag.pet_set
    list(Tag.objects.get(id=1).near.all())  # -, Tag.near
    Owner.objects.defer("bio").get(id=1).bio  # -, Owner.bio
    Pet.objects.only("id").get(id=1).owner_id  # -, Pet.owner_id
    Pet.objects.only("id").get(id=1).owner  # -, Pet.owner_id, Pet.owner
    Owner.objects.get(id=1).refresh_from_db()  # - twice
    Note.objects.get(id=1).about  # -, Note.about twice
    Note.objects.get(id=1).about  # -, Note.about
    [note.about for note in Note.objects.prefetch_related("about")]  # - twice
    list(pet.notes.all())  # Pet.notes
    models.signals.post_init.connect(receive, sender=Owner)
    Pet.objects.get(id=2).owner  # -, Pet.owner
    list(Owner.objects.get(id=1).pets.all())  # -, Owner.pets
    models.signals.post_init.disconnect(receive, sender=Owner)
def receive(**_):
    Tag.objects.count()
"""
OWNED = """
owner, _, _ = context.request_owner(None, None)
before = context.enter(owner)
try:
    body()
finally:
    release_all(owner, current().buffer)
    context.enter(before)
"""
TIMES = {"": 1, "twice": 2, "four times": 4}


def expected(code: str) -> list[tuple[int, str]]:
    """What the comments of `code` say, with the numbers of their lines in it."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(code.splitlines()):
        said = line.partition("  # ")[2]
        for one in filter(None, said.split(", ")):
            label, _, times = one.partition(" ")
            lines += [(number, label)] * TIMES[times]
    return lines


def test_the_attribute_whose_first_use_it_was(run: Run) -> None:
    found = [event for event in run(LOADS + OWNED, fill=FILL) if "parentId" in event and event["type"] == "db.query"]
    found.sort(key=lambda event: event["timestamp"])
    datas = [event["data"] for event in found]
    first = datas[0]["callsite"]["line"] - 2
    received = [data for data in datas if data["callsite"]["function"] == "receive"]
    assert len(received) == 2
    assert not [data for data in received if "lazyLoad" in data]
    seen = [
        (data["callsite"]["line"] - first, data.get("lazyLoad", "-"))
        for data in datas
        if data["callsite"]["function"] != "receive"
    ]
    assert seen == expected(LOADS)


ASYNC = """
import asyncio
async def main():
    owner, _, _ = context.request_owner(None, None)
    context.enter(owner)
    async def one(n):
        async for pet in (await Owner.objects.aget(id=n)).pets.all():
            pass
        return len([pet async for pet in Pet.objects.filter(owner_id=n)])
    await asyncio.gather(*[one(n) for n in (1, 2, 3)])
    release_all(owner, current().buffer)
asyncio.run(main())
"""


def test_the_async_orm(run: Run) -> None:
    found = [event["data"] for event in run(ASYNC, fill=FILL) if event["type"] == "db.query" and "parentId" in event]
    labels = [data.get("lazyLoad") for data in found if data["table"] == "shop_pet"]
    assert sorted(map(str, labels)) == ["None"] * 3 + ["Owner.pets"] * 3
    assert not [data for data in found if data["table"] == "shop_owner" and "lazyLoad" in data]
