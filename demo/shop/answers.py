"""What the shop answers: the JSON of its API. Prices are in cents."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class CategoryLink(Answer):
    slug: str
    name: str


class ProductCard(Answer):
    id: int
    name: str
    price_cents: int
    image: str | None = None


class ReviewNote(Answer):
    author: str
    rating: int
    text: str
    written_at: datetime


class ProductPage(ProductCard):
    description: str
    in_stock: bool
    category: CategoryLink
    reviews: list[ReviewNote]


class ReviewTeaser(Answer):
    product_id: int
    rating: int
    text: str


class Home(Answer):
    categories: list[CategoryLink]
    newest: list[ProductCard]
    best_sellers: list[ProductCard]
    best_rated: list[ProductCard]
    on_sale: list[ProductCard]
    bargains: list[ProductCard]
    last_chance: list[ProductCard]
    recently_ordered: list[ProductCard]
    latest_reviews: list[ReviewTeaser]
    product_count: int
    review_count: int
    customer_count: int
    orders_today: int
    average_rating: float
    cart_size: int


class Listing(Answer):
    title: str
    products: list[ProductCard]


class CartLineView(Answer):
    id: int
    product: ProductCard
    quantity: int


class Cart(Answer):
    lines: list[CartLineView]
    total_cents: int


class Me(Answer):
    name: str
    email: str


class OrderItemView(Answer):
    product_id: int
    quantity: int
    price_cents: int


class OrderView(Answer):
    number: str
    placed_at: datetime
    state: str
    total_cents: int
    items: list[OrderItemView]


class OrderPage(OrderView):
    payment: str | None = None


class OrderStatus(Answer):
    number: str
    total_cents: int
    payment: str | None


class Account(Me):
    joined_at: datetime
    recent: list[OrderStatus]


class StockLine(Answer):
    product_id: int
    name: str
    stock: int
    sold: int
    best_day: int
