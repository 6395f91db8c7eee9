"""Settings from the environment; what is wrong with them is named and never raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakit.config import SETTINGS, Config, split_url


def test_defaults_stand_where_nothing_is_set() -> None:
    config = Config({})
    assert {setting.name: getattr(config, setting.name) for setting in SETTINGS} == {s.name: s.default for s in SETTINGS}
    assert config.problems == []


def test_each_kind_is_read() -> None:
    config = Config(
        {
            "BRAKIT_PORT": " 9000 ",
            "BRAKIT_BODIES": "No",
            "BRAKIT_PARAMS": "yes",
            "BRAKIT_PROPAGATE": "a.test, b.test,",
            "BRAKIT_SERVICE": "shop",
        }
    )
    assert (config.port, config.bodies, config.params, config.propagate, config.service) == (
        9000,
        False,
        True,
        ("a.test", "b.test"),
        "shop",
    )


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("BRAKIT_PORT", "abc"),
        ("BRAKIT_PORT", "0"),
        ("BRAKIT_PORT", "70000"),
        ("BRAKIT_PORT", "-1"),
        ("BRAKIT_PORT", "٣٠٠٠"),
        ("BRAKIT_PORT", "9" * 5000),
        ("BRAKIT_BUFFER", "0"),
        ("BRAKIT_BUFFER", "1e3"),
        ("BRAKIT_BODIES", "maybe"),
        ("BRAKIT_DISABLE", "2"),
    ],
)
def test_a_malformed_value_is_named_and_the_default_stands(variable: str, text: str) -> None:
    config = Config({variable: text})
    [problem] = config.problems
    assert variable in problem
    [setting] = [setting for setting in SETTINGS if setting.variable == variable]
    assert getattr(config, setting.name) == setting.default


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://127.0.0.1:7700", (False, "127.0.0.1", 7700, "")),
        ("HTTPS://brakit.example.internal/team/", (True, "brakit.example.internal", 443, "/team")),
        ("http://[::1]:80/", (False, "::1", 80, "")),
        ("http://localhost", (False, "localhost", 80, "")),
    ],
)
def test_the_address_of_a_server(text: str, parts: tuple[object, ...]) -> None:
    config = Config({"BRAKIT_URL": text})
    assert config.problems == []
    assert split_url(config.url) == parts


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1:7700", "ftp://a", "http://", "http://:80", "http://a:0", "http://a:70000", "http://a:x", "http://me:pw@a", "http://a/?q",
     "http://a b", "http://::1:80", "http://[a]:80:1", "http://é"],
)  # fmt: skip
def test_what_is_no_address_is_named(text: str) -> None:
    config = Config({"BRAKIT_URL": text})
    assert config.url == ""
    assert "BRAKIT_URL" in config.problems[0]
    assert "pw" not in config.problems[0]


@given(st.sampled_from(SETTINGS), st.text(max_size=50))
def test_no_value_makes_it_raise(setting: object, text: str) -> None:
    variable = setting.variable  # type: ignore[attr-defined]
    config = Config({variable: text})
    assert isinstance(config.problems, list)


def test_names_and_variables_are_unique() -> None:
    assert len({setting.variable for setting in SETTINGS}) == len({setting.name for setting in SETTINGS}) == len(SETTINGS)
