"""Personal data for whoever asks, and data that is meant to be read."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

TWO = '[{"id": 1, "email": "ada@lovelace.io"}, {"id": 2, "email": "grace@hopper.net"}]'


def _answer(make: Any, body: str, **more: Any) -> list[Any]:
    return [make.raw_request(response_body=body, **{"route": "/users", **more})]


def a_list_of_addresses(make: Any) -> Labelled:
    return _answer(make, TWO), [("response-pii-leak", "warning", ("2 people", "GET /users"))]


def a_list_that_was_cut(make: Any) -> Labelled:
    return _answer(make, TWO[:-2] + ', "name": "Gra'), [("response-pii-leak", "warning", ("2 people",))]


def nested(make: Any) -> Labelled:
    return _answer(make, f'{{"data": {{"users": {TWO}}}}}'), [("response-pii-leak", "warning")]


def a_person_by_id(make: Any) -> Labelled:
    body = '{"id": 1, "email": "ada@lovelace.io", "dateOfBirth": "1815-12-10", "phone": "+44 20 7946 0018"}'
    found = [("response-pii-leak", "warning", ("date of birth and phone number",))]
    return _answer(make, body, route="/users/{id}"), found


def a_tax_number(make: Any) -> Labelled:
    return _answer(make, '{"id": 1, "tax_id": "12-3456789"}', route="/customers/{id}"), [
        ("response-pii-leak", "critical", ("tax_id",))
    ]


def a_masked_social_security_number(make: Any) -> Labelled:
    return _answer(make, '{"id": 1, "ssn": "078-05-1120"}', route="/customers/{id}"), [
        ("response-pii-leak", "critical", ("ssn",))
    ]


def a_passport(make: Any) -> Labelled:
    return _answer(make, '{"guest": {"passportNumber": "C01X00T478"}}', route="/bookings/{id}"), [
        ("response-pii-leak", "critical")
    ]


def accounts_for_a_known_client(make: Any) -> Labelled:
    body = '[{"iban": "DE89370400440532013000"}, {"iban": "DE02120300000000202051"}]'
    made = _answer(make, body, route="/payouts", headers={"authorization": "Bearer 9f8e7d6c5b4a39281706"})
    return made, [("response-pii-leak", "info", ("2 people",))]


def a_list_for_a_known_client(make: Any) -> Labelled:
    return _answer(make, TWO, headers={"cookie": "sessionid=9f8e7d6c"}), []


def a_list_after_a_check(make: Any) -> Labelled:
    return [*_answer(make, TWO), make.auth()], []


def ones_own(make: Any) -> Labelled:
    return _answer(make, '{"email": "ada@lovelace.io", "phone": "+44 20 7946 0018"}', route="/me"), []


def what_the_client_sent(make: Any) -> Labelled:
    sent = '{"email": "ada@lovelace.io", "phone": "+44 20 7946 0018"}'
    return _answer(make, '{"id": 1, ' + sent[1:], route="/orders", method="POST", request_body=sent), []


def addresses_of_roles(make: Any) -> Labelled:
    return _answer(make, '[{"email": "info@shop.io"}, {"email": "support@shop.io"}, {"email": "sales@shop.io"}]'), []


def hidden_numbers(make: Any) -> Labelled:
    return _answer(make, '{"id": 1, "ssn": "***-**-1120", "card_number": "xxxx-xxxx-xxxx-4242"}', route="/customers/{id}"), []


def places(make: Any) -> Labelled:
    body = '[{"email": "berlin@shop.io", "phone": "+49 30 901820", "address": "Street 1"}, {"email": "paris@shop.io"}]'
    return _answer(make, body, route="/stores"), []


def one_address_alone(make: Any) -> Labelled:
    return _answer(make, '{"id": 3, "author_email": "ada@lovelace.io", "title": "On engines"}', route="/posts/{id}"), []
