"""SQLAlchemy's ORM, synchronous: loads in loops, and what only looks like one."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, load_only, raiseload, selectinload, subqueryload

from tests.corpus.cases import Family
from tests.corpus.hosts import Job
from tests.corpus.shop import Category, Customer, Item, Order, Setting, session

case = Family("sqlalchemy", Job(session))
FAMILIES = [case]


@case(expect={"n1": "items"})
def lazy_collection(db: Session) -> None:
    for order in db.scalars(sa.select(Order)):
        len(order.items)  # here: n1


@case(expect={"n1": "customers"})
def lazy_parent(db: Session) -> None:
    [order.customer.name for order in db.scalars(sa.select(Order))]  # here: n1


@case(expect={"n1": ("orders", "items")})
def lazy_on_two_levels(db: Session) -> None:
    for customer in db.scalars(sa.select(Customer)).all():
        for order in customer.orders:  # here: n1
            sum(item.price for item in order.items)  # here: n1


@case(expect={"n1": "customers"})
def deferred_column(db: Session) -> None:
    for customer in db.scalars(sa.select(Customer)).all():
        len(customer.notes)  # here: n1


@case(expect={"n1": "orders"})
def expired_by_a_commit(db: Session) -> None:
    orders = db.scalars(sa.select(Order)).all()
    for order in orders:
        order.total += 1
    db.commit()
    for order in orders:
        str(order.total)  # here: n1


@case(expect={"n1": "items"})
def lazy_behind_a_property(db: Session) -> None:
    def price(order: Order) -> int:
        return sum(item.price for item in order.items)  # here: n1

    sorted(db.scalars(sa.select(Order)).all(), key=price)


@case(expect={"n1": "items"})
def lazy_in_a_generator(db: Session) -> None:
    def names() -> Iterator[str]:
        for order in db.scalars(sa.select(Order)).all():
            yield from (item.name for item in order.items)  # here: n1

    ", ".join(names())


@case(expect={"n1": "items"}, trap="the option was given for another relation")
def wrong_option(db: Session) -> None:
    for order in db.scalars(sa.select(Order).options(selectinload(Order.customer))).all():
        len(order.items)  # here: n1


@case(expect={"n1": "items"}, trap="only two parents: not many, but the ORM has told that it is a lazy load")
def lazy_twice(db: Session) -> None:
    for order in db.scalars(sa.select(Order).where(Order.id <= 2)).all():
        len(order.items)  # here: n1


@case(expect={"n1": "orders"})
def get_in_a_loop(db: Session) -> None:
    for number in (3, 5, 7, 9, 11):
        db.get(Order, number)  # here: n1


@case(expect={"n1": "items"})
def count_in_a_loop(db: Session) -> None:
    for order in db.scalars(sa.select(Order)).all():
        db.scalar(sa.select(sa.func.count()).select_from(Item).where(Item.order_id == order.id))  # here: n1


@case(expect={"n1": "categories"}, trap="each depth of a recursion has another stack")
def tree_by_recursion(db: Session) -> None:
    def walk(parent: int) -> int:
        children = db.scalars(sa.select(Category).where(Category.parent_id == parent)).all()  # here: n1
        return sum(1 + walk(child.id) for child in children)

    walk(0)


@case(expect={"n1": "categories"})
def up_the_tree(db: Session) -> None:
    number = 15
    while number:
        number = db.scalars(sa.select(Category.parent_id).where(Category.id == number)).one()  # here: n1


@case(expect={"n1": "orders"})
def update_in_a_loop(db: Session) -> None:
    for number in range(1, 8):
        db.execute(sa.update(Order).where(Order.id == number).values(total=number))  # here: n1
    db.commit()


@case(expect={"n1": "categories"})
def flush_in_a_loop(db: Session) -> None:
    for number in range(100, 108):
        db.add(Category(id=number, parent_id=1, name=str(number)))
        db.flush()  # here: n1
    db.commit()


@case(expect={"n1": "items"})
def delete_in_a_loop(db: Session) -> None:
    for number in range(1, 8):
        db.execute(sa.delete(Item).where(Item.id == number))  # here: n1
    db.commit()


@case(expect={"n1": "customers"}, trap="some rows share a parent: fewer values than executions")
def some_values_repeat(db: Session) -> None:
    for number in (1, 2, 3, 1, 4, 5, 2):
        db.execute(sa.select(Customer.name).where(Customer.id == number)).one()  # here: n1


@case(expect={"n1": "items"}, trap="the loop was left early")
def left_early(db: Session) -> None:
    for order in db.scalars(sa.select(Order)).all():
        if len(order.items) and order.id == 5:  # here: n1
            break


@case(expect={"commit-in-loop": "", "n1": "orders"})
def commit_each(db: Session) -> None:
    for number in range(1, 9):
        db.execute(sa.update(Order).where(Order.id == number).values(state="paid"))  # here: n1
        db.commit()


@case(expect={"redundant-query": "settings"})
def setting_in_a_loop(db: Session) -> None:
    for order in db.scalars(sa.select(Order)).all():
        tax = db.execute(sa.select(Setting.value).where(Setting.name == "tax")).scalar_one()  # here: redundant-query
        str(order.total * int(tax))


@case(expect={"redundant-query": "customers"})
def three_layers_ask_for_the_user(db: Session) -> None:
    def user() -> str:
        return db.execute(sa.select(Customer.name).where(Customer.id == 4)).scalar_one()

    for layer in ("authentication", "permissions", "view"):
        f"{layer}: {user()}"


@case(trap="eager loading by a second statement")
def selectin(db: Session) -> None:
    for order in db.scalars(sa.select(Order).options(selectinload(Order.items), selectinload(Order.customer))).all():
        len(order.items)


@case(trap="eager loading by a join")
def joined(db: Session) -> None:
    for order in db.scalars(sa.select(Order).options(joinedload(Order.items), joinedload(Order.customer))).unique():
        len(order.items)


@case(trap="eager loading by a subquery")
def subquery(db: Session) -> None:
    for order in db.scalars(sa.select(Order).options(subqueryload(Order.items))).all():
        len(order.items)


@case(trap="many parents: selectinload asks in chunks of 500 keys, the same text from one line")
def selectin_in_chunks(db: Session) -> None:
    db.execute(sa.insert(Order), [{"id": number, "customer_id": 1} for number in range(1000, 3000)])
    for order in db.scalars(sa.select(Order).options(load_only(Order.state), selectinload(Order.items))).all():
        len(order.items)


@case(trap="the relation is never touched")
def forbidden_and_not_needed(db: Session) -> None:
    [order.total for order in db.scalars(sa.select(Order).options(raiseload("*"))).all()]


@case(trap="all parents are known to the session already")
def from_the_identity_map(db: Session) -> None:
    known = db.scalars(sa.select(Customer)).all()
    [order.customer.name for order in db.scalars(sa.select(Order)).all()]
    len(known)


@case(trap="many objects in one flush: insertmanyvalues")
def add_all(db: Session) -> None:
    db.add_all([Category(id=number, parent_id=1, name=str(number)) for number in range(100, 1400)])
    db.commit()


@case(trap="many changed objects in one flush: executemany")
def dirty_objects(db: Session) -> None:
    for order in db.scalars(sa.select(Order)).all():
        order.state = f"seen {order.id}"
    db.commit()


@case(trap="IN over keys in chunks: the list grows, not the count")
def chunks_of_keys(db: Session) -> None:
    for first in range(1, 37, 10):
        db.scalars(sa.select(Item).where(Item.id.in_(range(first, first + 10)))).all()


@case(trap="pages by key, until there are none left")
def pages_by_key(db: Session) -> None:
    last = 0
    while rows := db.execute(sa.select(Item.id).where(Item.id > last).order_by(Item.id).limit(10)).all():
        last = rows[-1][0]


@case(trap="pages by offset")
def pages_by_offset(db: Session) -> None:
    for page in range(4):
        db.execute(sa.select(Item.id).order_by(Item.id).limit(10).offset(page * 10)).all()


@case(trap="one result, read in partitions as it comes")
def streamed(db: Session) -> None:
    for rows in db.execute(sa.select(Item.id).execution_options(yield_per=5)).partitions():
        len(rows)


@case(trap="the same statement from three lines, each on purpose")
def three_lines(db: Session) -> None:
    seller = db.execute(sa.select(Customer.name).where(Customer.id == 1)).scalar_one()
    buyer = db.execute(sa.select(Customer.name).where(Customer.id == 2)).scalar_one()
    payer = db.execute(sa.select(Customer.name).where(Customer.id == 3)).scalar_one()
    f"{seller} {buyer} {payer}"


@case(trap="one object: the lazy load of a detail page")
def detail_page(db: Session) -> None:
    order = db.get(Order, 4)
    assert order is not None
    len(order.items)
    str(order.customer.name)


@case(trap="read, write, and read again what has changed")
def read_after_write(db: Session) -> None:
    def total() -> int:
        return db.execute(sa.select(Order.total).where(Order.id == 1)).scalar_one()

    before = total()
    db.execute(sa.update(Order).where(Order.id == 1).values(total=before + 1))
    assert total() == before + 1
    db.commit()


@case(trap="tried again with other names after a failure, inside savepoints")
def tried_again(db: Session) -> None:
    for name in ("currency", "tax", "currency", "rebate"):
        try:
            with db.begin_nested():
                db.execute(sa.insert(Setting).values(name=name, value="0"))
            break
        except IntegrityError:
            continue
    db.commit()


@case(trap="two statements with other values are no loop")
def two_of_a_kind(db: Session) -> None:
    for number in (1, 2):
        db.execute(sa.select(Customer.name).where(Customer.id == number)).one()


@case(trap="a savepoint for each row of one flush")
def savepoints(db: Session) -> None:
    with db.begin_nested(), db.begin_nested(), db.begin_nested():
        db.execute(sa.update(Order).where(Order.id < 9).values(state="kept"))
    db.commit()


@case(trap="a session each, whose statements say when time goes by")
def what_changes_by_itself(db: Session) -> None:
    for _ in range(3):
        db.execute(sa.select(sa.func.random())).scalar_one()
