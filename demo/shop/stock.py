"""The stock alert: what sells faster than it comes in."""

from __future__ import annotations

from sqlalchemy import text

STOCK_ALERT = text(
    """
    WITH RECURSIVE calendar(day) AS (
        SELECT date('now', :days)
        UNION ALL
        SELECT date(day, '+1 day') FROM calendar WHERE day < date('now')
    ),
    daily AS (
        SELECT p.id AS product_id, c.day, (
            SELECT coalesce(sum(i.quantity), 0)
            FROM order_items i
            JOIN orders o ON o.id = i.order_id
            WHERE i.product_id = p.id AND date(o.placed_at) = c.day
        ) AS sold
        FROM calendar c
        CROSS JOIN products p
    )
    SELECT p.id AS product_id, p.name, p.stock, sum(d.sold) AS sold, max(d.sold) AS best_day
    FROM products p
    JOIN daily d ON d.product_id = p.id
    GROUP BY p.id
    HAVING p.stock < max(d.sold) * 7
    ORDER BY p.stock
    """
)
