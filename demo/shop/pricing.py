"""What a cart costs. Amounts are in cents."""

from __future__ import annotations

from collections.abc import Sequence

from demo.shop.models import CartLine, Coupon

FREE_SHIPPING_FROM = 5_000
SHIPPING = 490

DISCOUNTS = {
    "percent": lambda subtotal, value: subtotal * value // 100,
    "fixed": lambda subtotal, value: min(subtotal, value),
}


def total_of(lines: Sequence[CartLine], coupon: Coupon | None) -> int:
    """Sum of the lines, less the coupon, with shipping."""
    subtotal = sum(line.quantity * line.product.price_cents for line in lines)
    if coupon is not None:
        subtotal -= DISCOUNTS[coupon.kind](subtotal, coupon.value)
    return subtotal if subtotal >= FREE_SHIPPING_FROM else subtotal + SHIPPING
