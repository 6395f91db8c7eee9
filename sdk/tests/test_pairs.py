"""Values beside the names of secrets, in source code, YAML and settings; what only looks like one stays."""

from __future__ import annotations

import pytest

from brakit import pairs

NEEDLE = "Hun7erNeedle9"

SECRET = [
    f'API_KEY: str = "{NEEDLE}"',
    f'PASSWORD: Final[str] = "{NEEDLE}"',
    f'    password: str | None = "{NEEDLE}"',
    f'token: t.Optional[str] = "{NEEDLE}"',
    f'DB_PASSWORD = os.getenv("DB_PASSWORD", "{NEEDLE}")',
    f'PASSWORD = os.environ.get("PW", "{NEEDLE}")',
    f'SECRET_KEY = config("SECRET_KEY", default="{NEEDLE}")',
    f'password = env("X") or "{NEEDLE}"',
    f'password = "{NEEDLE}" if debug else ""',
    f'requests.get(url, auth=("user", "{NEEDLE}"))',
    f'auth=HTTPBasicAuth("user", "{NEEDLE}")',
    f'PASSWORD = (\n    "{NEEDLE}"\n)',
    f'password=SecretStr("{NEEDLE}")',
    f'credentials=Credentials(user="bob", password={NEEDLE})',
    f'PASSWORD = """{NEEDLE}"""',
    f"PASSWORD = '''\n{NEEDLE}\n'''",
    f'PASSWORD = """{NEEDLE}',
    f'PASSWORD = "abc" "{NEEDLE}"',
    f'TOKEN = "abc" + f"{NEEDLE}"',
    f"password: |\n  line\n  {NEEDLE}\nuser: bob",
    f"password: >-\n  {NEEDLE}\n",
    f"api_keys:\n  - a1\n  - {NEEDLE}\n",
    f"userPassword:: {NEEDLE}",
    f'os.environ["API_KEY"] = "{NEEDLE}"',
    f"Driver={{ODBC}};Uid=sa;Pwd={NEEDLE};",
    f"AccountName=a;AccountKey={NEEDLE}==;EndpointSuffix=x",
    f"host=db user=u password='{NEEDLE} x' dbname=x",
    f'mutation {{ login(email: "a", password: "{NEEDLE}") }}',
]

INNOCENT = [
    'password = request.form["password"]',
    'password = form.get("password")',
    'token = os.environ["TOKEN"]',
    "token: str = create_token(user)",
    "def login(username: str, password: str, remember: bool = False) -> None:",
    "password: Optional[str] = None",
    "secret: str = settings.secret",
    "password: must be at least 8 characters",
    "SELECT password::text FROM users",
    "items:\n  - one\n  - two\n",
    "description: |\n  a block of text\n  of two lines\n",
    'title = (\n    "a long title"\n)',
]


@pytest.mark.parametrize("text", SECRET)
def test_the_value_is_masked_and_the_name_stays(text: str) -> None:
    masked = pairs.masked(pairs.masked(text))
    assert NEEDLE not in masked
    assert "****" in masked
    assert pairs.masked(masked) == masked
    assert masked.split("=")[0].split(":")[0] == text.split("=")[0].split(":")[0]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_tells_nothing_stays(text: str) -> None:
    assert pairs.masked(text) == text


@pytest.mark.parametrize("text", [text for text in SECRET if "\n" in text])
def test_lines_stay_lines(text: str) -> None:
    """Source code is shown with its numbers of lines."""
    assert pairs.masked(text).count("\n") == text.count("\n")
