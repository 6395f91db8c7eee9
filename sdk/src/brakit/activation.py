"""May we run here? One table, read from the top; the first line that applies decides, and its reason is kept."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from brakit.config import Config

ENVIRONMENT_NAMES = ("BRAKIT_ENV", "APP_ENV", "ENVIRONMENT", "ENV", "FLASK_ENV", "DJANGO_ENV", "PYTHON_ENV", "NODE_ENV")
PRODUCTION_WORDS = ("production", "prod", "staging", "stage", "live")
CI_NAMES = (
    "CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "CIRCLECI", "TRAVIS", "BUILDKITE", "CODEBUILD_BUILD_ID", "TF_BUILD",
    "BITBUCKET_BUILD_NUMBER", "DRONE", "SEMAPHORE",
)  # fmt: skip
CLOUD_NAMES = (
    "VERCEL", "VERCEL_ENV", "NETLIFY", "AWS_LAMBDA_FUNCTION_NAME", "AWS_EXECUTION_ENV", "ECS_CONTAINER_METADATA_URI",
    "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "K_SERVICE", "AZURE_FUNCTIONS_ENVIRONMENT", "WEBSITE_SITE_NAME", "FLY_APP_NAME",
    "RAILWAY_ENVIRONMENT", "RENDER", "HEROKU_APP_NAME", "DYNO", "CF_INSTANCE_GUID", "CF_PAGES", "KUBERNETES_SERVICE_HOST",
)  # fmt: skip
FALSE_WORDS = ("", "0", "false", "no", "off")


class Decision:
    """Whether we run, why, and whether the person should be told so on stderr (a guess that may be wrong, not a wish of theirs)."""

    __slots__ = ("loud", "on", "reason")

    def __init__(self, on: bool, reason: str, loud: bool = False) -> None:
        self.on = on
        self.reason = reason
        self.loud = loud


def decide(config: Config, environ: Mapping[str, str] | None = None, modules: Container[str] | None = None) -> Decision:
    """The decision for this process."""
    environ = os.environ if environ is None else environ
    modules = sys.modules if modules is None else modules
    if config.disable:
        return Decision(False, "off: BRAKIT_DISABLE is set")
    if "brakit_server" in modules:
        return Decision(False, "off: this is brakit's own server")
    if config.enable:
        return Decision(True, "on: BRAKIT_ENABLE is set")
    for name in ENVIRONMENT_NAMES:
        if environ.get(name, "").strip().lower() in PRODUCTION_WORDS:
            return Decision(False, f"off: {name}={environ[name]} looks like production; BRAKIT_ENABLE=1 switches on", loud=True)
    settings = environ.get("DJANGO_SETTINGS_MODULE", "").lower().replace("_", ".").split(".")
    if any(word in PRODUCTION_WORDS for word in settings):
        return Decision(False, "off: DJANGO_SETTINGS_MODULE names production settings; BRAKIT_ENABLE=1 switches on", loud=True)
    for name in CLOUD_NAMES:
        if environ.get(name, "").strip():
            return Decision(False, f"off: {name} is set, this looks like a cloud host; BRAKIT_ENABLE=1 switches on", loud=True)
    for name in CI_NAMES:
        if environ.get(name, "").strip().lower() not in FALSE_WORDS:
            return Decision(False, f"off: {name} is set, this looks like CI; BRAKIT_ENABLE=1 switches on")
    if "pytest" in modules or environ.get("PYTEST_VERSION"):
        return Decision(False, "off: running under pytest; BRAKIT_ENABLE=1 switches on")
    return Decision(True, "on: nothing speaks against it")
