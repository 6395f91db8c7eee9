"""N+1: true ones, and everything that looks like one."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

OTHER_SITE = ("app/orders.py", 77, "totals")
HAND = "SELECT id, name FROM items WHERE order_id = "
IN = "SELECT id, name FROM items WHERE order_id IN ({})"


PARENTS = "SELECT id, name FROM orders"


def _loop(make: Any, count: int, **more: Any) -> list[Any]:
    queries = []
    for n in range(count):
        queries.append(make.query(params=f"p{n}", **more))
        make.now += max(0.0, more.get("ms", 1.0) - 1)
    return queries


def _parents(make: Any, rows: int, **more: Any) -> Any:
    return make.query(PARENTS, "p", table="orders", row_count=rows, site=("app/orders.py", 40, "list_orders"), **more)


def lazy_load_in_a_loop(make: Any) -> Labelled:
    parents = make.query(
        "SELECT id, name FROM orders", "p", table="orders", row_count=8, site=("app/orders.py", 40, "list_orders")
    )
    words = ("8 times", "items", "app/orders.py:42", "selectinload", "8 rows of the SELECT on orders", "8.0 ms of 100 ms (8 %)")
    return [make.request(), parents, *_loop(make, 8)], [("n1", "warning", words)]


def lazy_load_that_the_orm_tells(make: Any) -> Labelled:
    parents = make.query(
        "SELECT id, name FROM orders", "p", table="orders", row_count=8, site=("app/orders.py", 40, "list_orders")
    )
    words = ("selectinload(Order.items)", "first use of Order.items", "8 rows of the SELECT on orders")
    return [make.request(), parents, *_loop(make, 8, lazy_load="Order.items")], [("n1", "warning", words)]


def lazy_load_of_django(make: Any) -> Labelled:
    words = ('.select_related("customer")', '.prefetch_related("customer")')
    return [make.request(), *_loop(make, 8, lazy_load="Order.customer", source="django")], [("n1", "warning", words)]


def lazy_loads_of_two_attributes_on_one_line(make: Any) -> Labelled:
    queries = [make.query(params=f"p{n}", lazy_load=f"Order.{'items' if n % 2 else 'notes'}") for n in range(8)]
    return [make.request(), *queries], [
        ("n1", "info", ("selectinload(Order.items)",)),
        ("n1", "info", ("selectinload(Order.notes)",)),
    ]


def three_are_enough_with_parameters(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 3)], [("n1", "info", ("3 different",))]


def costly(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 5, ms=5.0)], [("n1", "critical", ("25 %",))]


def many(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 20, ms=0.01)], [("n1", "warning", ("20 times", "another machine it costs 9.5 ms"))]


def very_many(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 60, ms=0.01)], [("n1", "critical", ("60 times",))]


def two_lazy_loads_for_two_parents(make: Any) -> Labelled:
    entries = [make.request(), _parents(make, 2, model="Order"), *_loop(make, 2, lazy_load="Order.items", row_count=3)]
    return entries, [
        ("n1", "info", ("2 times", ".options(selectinload(Order.items)) on the query at app/orders.py:40", "2 rows"))
    ]


def lists_of_django(make: Any) -> Labelled:
    parents = _parents(make, 9, source="django", model="Order")
    words = ('.prefetch_related("items") on the query at app/orders.py:40',)
    return [make.request(), parents, *_loop(make, 5, lazy_load="Order.items", source="django", row_count=3)], [
        ("n1", "info", words)
    ]


def in_a_job(make: Any) -> Labelled:
    return [make.job("j1"), *_loop(make, 8, owner="j1")], [("n1", "warning", ("in one run",))]


def side_by_side(make: Any) -> Labelled:
    queries = [make.query(params=f"p{n}", ms=20.0) for n in range(5)]
    return [make.request(), *queries], [("n1", "warning", ("24 ms of 100 ms",))]


def cheap(make: Any) -> Labelled:
    return [make.request(ms=5), *_loop(make, 6, ms=0.4)], [("n1", "info")]


def other_events_in_between(make: Any) -> Labelled:
    entries = [make.request()]
    for n in range(6):
        entries += [make.query(params=f"p{n}"), make.log(), make.fetch(), make.span(), make.query("SELECT now()", "x", table="")]
    return entries, [("n1", "warning", ("6 times",))]


def some_parameters_repeat(make: Any) -> Labelled:
    return [make.request(), *(make.query(params=f"p{n % 4}") for n in range(12))], [("n1", "warning", ("4 different",))]


def literals_without_a_hash(make: Any) -> Labelled:
    queries = [make.query(f"{HAND}{n}", site=None, source="pg", driver="pg") for n in range(7)]
    return [make.request(), *queries], [("n1", "warning", ("7 different", "WHERE … IN"))]


def neither_parameters_nor_lines(make: Any) -> Labelled:
    queries = [make.query(site=None, source=None, driver="sdk") for _ in range(6)]
    return [make.request(), *queries], [("n1", "warning", ("Possible: ", "did not tell"))]


def neither_and_many(make: Any) -> Labelled:
    return [make.request(), *(make.query(site=None) for _ in range(30))], [("n1", "warning", ("Possible: ",))]


def no_text_at_all(make: Any) -> Labelled:
    queries = [make.query(None, site=None, model="Item", operation="SELECT") for _ in range(7)]
    return [make.request(), *queries], [("n1", "warning", ("Possible: ",))]


def inserts_one_by_one(make: Any) -> Labelled:
    queries = _loop(make, 9, sql="INSERT INTO items (a, b) VALUES (?, ?)")
    return [make.request(), *queries], [("n1", "warning", ("inserted one by one", "insert(Model)"))]


def updates_one_by_one(make: Any) -> Labelled:
    queries = _loop(make, 9, sql="UPDATE items SET a = ? WHERE id = ?", source="asyncpg")
    return [make.request(), *queries], [("n1", "warning", ("updated one by one",))]


def deletes_one_by_one(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 9, sql="DELETE FROM items WHERE id = ?")], [("n1", "warning", ("deleted one by one",))]


def first_row_of_each_on_sqlite(make: Any) -> Labelled:
    sql = "SELECT id, name FROM items WHERE order_id = ? ORDER BY id LIMIT ? OFFSET ?"
    return [make.request(), *_loop(make, 6, sql=sql)], [("n1", "warning")]


def a_fixed_list_beside_the_key(make: Any) -> Labelled:
    sql = "SELECT id, name FROM items WHERE status IN (?, ?) AND order_id = ?"
    return [make.request(), *_loop(make, 6, sql=sql)], [("n1", "warning")]


def the_senders_shape_counts(make: Any) -> Labelled:
    queries = [make.query(f"/* {n} */ {HAND}?", f"p{n}", operation="SELECT", shape_hash="ab" * 8) for n in range(6)]
    return [make.request(), *queries], [("n1", "warning")]


def two_loops(make: Any) -> Labelled:
    prices = "SELECT id, name FROM prices WHERE sku = ?"
    second = _loop(make, 6, sql=prices, table="prices", site=("app/orders.py", 50, "list_orders"))
    return [make.request(), *_loop(make, 6), *second], [("n1", "warning", ("items",)), ("n1", "warning", ("prices",))]


def a_recursive_function(make: Any) -> Labelled:
    sql = "SELECT id, name FROM categories WHERE parent_id = ?"
    return [make.request(), *_loop(make, 6, sql=sql, table="categories", site=("app/tree.py", 8, "walk"))], [
        ("n1", "warning", ("walk",))
    ]


def in_a_failing_request(make: Any) -> Labelled:
    return [make.request(status=500), *_loop(make, 6)], [("n1", "warning")]


def in_background_tasks(make: Any) -> Labelled:
    request = make.request(ms=1)
    return [request, *_loop(make, 6, ms=2)], [("n1", "critical", ("100 %",))]


def not_two(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 2)], []


def not_the_same_parameters(make: Any) -> Labelled:
    return [make.request(), *(make.query(params="p", ms=0.1) for _ in range(30))], [("redundant-query", "info")]


def not_two_parameters_again_and_again(make: Any) -> Labelled:
    return [make.request(), *(make.query(params=f"p{n % 2}", ms=0.1) for n in range(30))], [("redundant-query", "info")]


def not_a_constant_statement(make: Any) -> Labelled:
    return [make.request(), *(make.query("SELECT id FROM settings", site=None, ms=0.1) for _ in range(30))], [
        ("redundant-query", "info")
    ]


def not_different_lines(make: Any) -> Labelled:
    sites = [("app/a.py", line, "view") for line in (1, 5, 9, 13)]
    return [make.request(), *(make.query(params=f"p{n}", site=site) for n, site in enumerate(sites))], [("similar-query", "info")]


def not_few_without_a_line(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 5, site=None)], []


def not_executemany(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 6, sql="INSERT INTO items (a) VALUES (?)", batch_size=100)], []


def not_many_rows_in_one_insert(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 6, sql="INSERT INTO items (a, b) VALUES (?, ?), (?, ?), (?, ?)")], []


def not_chunks_of_a_list(make: Any) -> Labelled:
    chunks = [500, 500, 500, 37]
    return [make.request(), *(make.query(IN.format(", ".join("?" * n)), f"p{n}{i}") for i, n in enumerate(chunks))], []


def not_small_chunks_of_a_list(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 6, sql=IN.format("?, ?, ?"))], []


def not_a_bulk_update(make: Any) -> Labelled:
    sql = "UPDATE items SET sold = CASE WHEN id = ? THEN ? WHEN id = ? THEN ? END WHERE id IN (?, ?)"
    return [make.request(), *_loop(make, 6, sql=sql)], []


def not_an_array_parameter(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 6, sql="SELECT id, name FROM items WHERE order_id = ANY($1)")], []


def not_pages_by_offset(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 6, sql="SELECT id, name FROM items ORDER BY id LIMIT ? OFFSET ?")], []


def not_pages_by_key(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 6, sql="SELECT id, name FROM items WHERE shop = ? AND id > ? ORDER BY id LIMIT ?")], []


def not_failed_attempts(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 6, error="OperationalError: locked"), make.query(params="p")], []


def not_two_objects_loaded_each_by_itself(make: Any) -> Labelled:
    single = {"table": "orders", "row_count": 1, "model": "Order"}
    entries = [make.request(), *_loop(make, 2, sql="SELECT id, name FROM orders WHERE id = ?", site=OTHER_SITE, **single)]
    return [*entries, *_loop(make, 2, lazy_load="Order.items")], []


def not_two_rows_of_something_else(make: Any) -> Labelled:
    return [make.request(), _parents(make, 2, model="Customer"), *_loop(make, 2, lazy_load="Order.items")], []


def not_the_reading_of_a_cursor(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 8, sql="FETCH FORWARD 100 FROM c WHERE ? = ?", operation="SELECT")], []


def not_polling_for_what_is_new(make: Any) -> Labelled:
    entries = [make.job("j1", ms=9000)]
    for n in range(6):
        entries.append(make.query("SELECT id FROM items WHERE created > ?", f"p{n}", owner="j1"))
        make.now += 1500
    return entries, []


def not_pages_of_one_shop(make: Any) -> Labelled:
    sql = "SELECT id, name FROM items WHERE shop = ? ORDER BY id LIMIT ? OFFSET ?"
    pages = [make.query(sql, f"p{n}", row_count=rows) for n, rows in enumerate((50, 50, 50, 50, 7))]
    return [make.request(), *pages], []


def not_migrations(make: Any) -> Labelled:
    return [make.job("j1", "migrate"), *_loop(make, 9, owner="j1")], []


def not_the_set_up_of_a_test(make: Any) -> Labelled:
    job = make.job("j1", "test_orders", source="pytest")
    return [job, *_loop(make, 9, owner="j1", sql="INSERT INTO items (a) VALUES (?)")], []


def not_savepoints(make: Any) -> Labelled:
    return [make.request(), *_loop(make, 9, sql="SAVEPOINT sa_savepoint_1", operation="OTHER", table="")], []


def not_in_a_health_check(make: Any) -> Labelled:
    return [make.request(route="/health", is_health_check=True), *_loop(make, 9)], []


def not_over_several_requests(make: Any) -> Labelled:
    entries = []
    for n in range(9):
        entries += [make.request(f"r{n}", ms=20), make.query(params=f"p{n}", owner=f"r{n}")]
    return entries, []
