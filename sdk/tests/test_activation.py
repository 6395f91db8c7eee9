"""Where brakit runs and where it does not, environment by environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from brakit.activation import decide
from brakit.config import Config

if TYPE_CHECKING:
    from sdk.tests.conftest import Py

TABLE: list[tuple[dict[str, str], bool, str]] = [
    ({}, True, "nothing speaks against it"),
    ({"BRAKIT_DISABLE": "1"}, False, "BRAKIT_DISABLE"),
    ({"BRAKIT_DISABLE": "true"}, False, "BRAKIT_DISABLE"),
    ({"BRAKIT_DISABLE": "0"}, True, "nothing"),
    ({"BRAKIT_DISABLE": ""}, True, "nothing"),
    ({"BRAKIT_DISABLE": "1", "BRAKIT_ENABLE": "1"}, False, "BRAKIT_DISABLE"),
    ({"BRAKIT_ENABLE": "1"}, True, "BRAKIT_ENABLE"),
    ({"BRAKIT_ENABLE": "0"}, True, "nothing"),
    ({"BRAKIT_ENABLE": "1", "CI": "true"}, True, "BRAKIT_ENABLE"),
    ({"BRAKIT_ENABLE": "1", "ENVIRONMENT": "production"}, True, "BRAKIT_ENABLE"),
    ({"ENVIRONMENT": "production"}, False, "ENVIRONMENT=production"),
    ({"ENVIRONMENT": " Production "}, False, "ENVIRONMENT"),
    ({"ENVIRONMENT": "staging"}, False, "ENVIRONMENT=staging"),
    ({"ENVIRONMENT": "development"}, True, "nothing"),
    ({"ENVIRONMENT": "reproduction"}, True, "nothing"),
    ({"BRAKIT_ENV": "prod"}, False, "BRAKIT_ENV=prod"),
    ({"APP_ENV": "live"}, False, "APP_ENV=live"),
    ({"ENV": "stage"}, False, "ENV=stage"),
    ({"FLASK_ENV": "production"}, False, "FLASK_ENV"),
    ({"FLASK_ENV": "development"}, True, "nothing"),
    ({"DJANGO_ENV": "production"}, False, "DJANGO_ENV"),
    ({"PYTHON_ENV": "PROD"}, False, "PYTHON_ENV"),
    ({"NODE_ENV": "production"}, False, "NODE_ENV"),
    ({"DJANGO_SETTINGS_MODULE": "site.settings.production"}, False, "DJANGO_SETTINGS_MODULE"),
    ({"DJANGO_SETTINGS_MODULE": "site.settings_prod"}, False, "DJANGO_SETTINGS_MODULE"),
    ({"DJANGO_SETTINGS_MODULE": "site.settings.local"}, True, "nothing"),
    ({"DJANGO_SETTINGS_MODULE": "products.settings"}, True, "nothing"),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False, "cloud host"),
    ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, False, "cloud host"),
    ({"K_SERVICE": "shop"}, False, "cloud host"),
    ({"DYNO": "web.1"}, False, "cloud host"),
    ({"FLY_APP_NAME": "shop"}, False, "cloud host"),
    ({"VERCEL": "1"}, False, "cloud host"),
    ({"RENDER": "true"}, False, "cloud host"),
    ({"WEBSITE_SITE_NAME": "shop"}, False, "cloud host"),
    ({"DYNO": ""}, True, "nothing"),
    ({"CI": "true"}, False, "looks like CI"),
    ({"CI": "1"}, False, "looks like CI"),
    ({"CI": "false"}, True, "nothing"),
    ({"CI": "0"}, True, "nothing"),
    ({"GITHUB_ACTIONS": "true"}, False, "GITHUB_ACTIONS"),
    ({"GITLAB_CI": "true"}, False, "GITLAB_CI"),
    ({"JENKINS_URL": "http://ci"}, False, "JENKINS_URL"),
    ({"TF_BUILD": "True"}, False, "TF_BUILD"),
    ({"PYTEST_VERSION": "8"}, False, "pytest"),
    ({"CI": "true", "ENVIRONMENT": "production"}, False, "ENVIRONMENT=production"),
]


@pytest.mark.parametrize(
    ("environ", "on", "reason"), TABLE, ids=[" ".join(f"{k}={v}" for k, v in row[0].items()) for row in TABLE]
)
def test_each_environment_has_one_decision_and_its_reason(environ: dict[str, str], on: bool, reason: str) -> None:
    decision = decide(Config(environ), environ, modules=())
    assert decision.on is on
    assert reason in decision.reason
    assert decision.reason.startswith("on: " if on else "off: ")


def test_the_table_is_as_long_as_promised() -> None:
    assert len(TABLE) >= 40


def test_off_under_pytest_and_on_when_asked_for() -> None:
    assert not decide(Config({}), {}, modules=("pytest",)).on
    assert decide(Config({"BRAKIT_ENABLE": "1"}), {}, modules=("pytest",)).on


def test_only_a_guess_that_may_be_wrong_is_said_aloud() -> None:
    def loud(environ: dict[str, str]) -> bool:
        return decide(Config(environ), environ, modules=()).loud

    assert loud({"ENVIRONMENT": "production"})
    assert loud({"DYNO": "web.1"})
    assert not loud({"CI": "1"})
    assert not loud({"BRAKIT_DISABLE": "1"})


def test_switched_off_it_starts_nothing_and_the_functions_do_nothing(py: Py) -> None:
    ran = py(
        "import brakit, sys, threading\n"
        "meta = list(sys.meta_path)\n"
        "with brakit.span('work'):\n    brakit.auth_check('session')\n"
        "brakit.capture_error(ValueError('x'))\n"
        "ours = [f for f in meta if 'brakit' in type(f).__module__]\n"
        "print(brakit.flush(), threading.active_count(), brakit.client.current(), ours)\n"
        "brakit.shutdown()",
        BRAKIT_DISABLE="1",
    )
    assert ran.stdout == "True 1 None []\n"
    assert ran.stderr == ""


def test_production_is_told_on_stderr_in_one_line(py: Py) -> None:
    ran = py("import brakit", ENVIRONMENT="production")
    assert ran.stderr.count("\n") == 1
    assert "BRAKIT_ENABLE=1" in ran.stderr
    assert ran.rc == 0
