"""Many people at once, and a server that dies among them: a user is whole or not there."""

import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from tests.journeys.conftest import RunningServer

pytestmark = pytest.mark.slow

PASSWORD = "Correct-horse-7"


def call(server: RunningServer, operation: str, **members: Any) -> requests.Response:
    """An operation that needs no signature, as a program without an SDK sends it."""
    return requests.post(
        f"{server.base_url}/",
        json={"ClientId": server.demo["clients"]["spa"]["client_id"], **members},
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
        },
        timeout=60,
    )


def sign_up(server: RunningServer, username: str, email: str) -> requests.Response:
    attributes = [{"Name": "email", "Value": email}]
    return call(server, "SignUp", Username=username, Password=PASSWORD, UserAttributes=attributes)


def word(answer: requests.Response) -> str:
    return "done" if answer.status_code == 200 else str(answer.json()["__type"])


def database(server: RunningServer) -> Engine:
    """The server's database, seen from beside it."""
    url = server.environ.get("COGNATE_DATABASE_URL") or f"sqlite:///{server.directory}/cognate.sqlite"
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


def rows(server: RunningServer, query: str, **given: str) -> list[tuple[Any, ...]]:
    engine = database(server)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query), given)]
    engine.dispose()
    return found


def test_of_fifty_sign_ups_for_one_name_one_wins(server: RunningServer) -> None:
    name = f"wanted{uuid.uuid4().hex[:8]}"
    together = threading.Barrier(50)

    def try_it(number: int) -> str:
        together.wait()
        return word(sign_up(server, name.upper() if number % 2 else name, f"{name}.{number}@example.com"))

    with ThreadPoolExecutor(50) as people:
        said = Counter(people.map(try_it, range(50)))
    assert said.pop("done") == 1
    # On a busy machine somebody may have waited too long for a core to hash on.
    assert said.keys() <= {"UsernameExistsException", "TooManyRequestsException"}
    whole = """
        SELECT count(*), count(password.user_sub), count(code.user_sub) FROM "user"
        LEFT JOIN password ON password.user_sub = "user".sub LEFT JOIN code ON code.user_sub = "user".sub
        WHERE lower(username) = :name
    """
    assert rows(server, whole, name=name) == [(1, 1, 1)]
    sent = rows(server, 'SELECT "to" FROM outbox_message WHERE "to" LIKE :like', like=f"{name}.%")
    assert len(sent) == 1


def test_after_kill_9_among_sign_ups_every_user_is_whole(own_server: RunningServer) -> None:
    """Three times over: what was answered is there, what is there is complete, and nothing was said of what is not."""
    answered: list[str] = []
    for _ in range(3):
        answered += killed_among_sign_ups(own_server)
        check_whole(own_server, answered)
        own_server.start()
    assert answered
    code_of = dict(rows(own_server, 'SELECT "to", code FROM outbox_message'))
    for name in answered:
        assert f"{name}@example.com" in code_of
    survivor = answered[-1]
    code = code_of[f"{survivor}@example.com"]
    assert word(call(own_server, "ConfirmSignUp", Username=survivor, ConfirmationCode=code)) == "done"
    check_signs_in(own_server, survivor)
    # Whoever was killed between his account and his message asks for another one.
    for name, email in rows(own_server, "SELECT username, email FROM \"user\" WHERE status = 'UNCONFIRMED'")[-3:]:
        assert word(call(own_server, "ResendConfirmationCode", Username=name)) == "done"
        code = own_server.messages(email)[0]["code"]
        assert word(call(own_server, "ConfirmSignUp", Username=name, ConfirmationCode=code)) == "done"
        check_signs_in(own_server, name)


def killed_among_sign_ups(server: RunningServer) -> list[str]:
    """Names whose sign-up was answered before the server was killed, with others under way."""
    answered: list[str] = []
    stop = threading.Event()

    def people() -> None:
        while not stop.is_set():
            name = f"p{uuid.uuid4().hex[:10]}"
            try:
                if word(sign_up(server, name, f"{name}@example.com")) == "done":
                    answered.append(name)
            except requests.RequestException:
                return

    threads = [threading.Thread(target=people) for _ in range(12)]
    for thread in threads:
        thread.start()
    enough = time.monotonic() + 30
    while len(answered) < 10 and time.monotonic() < enough:
        time.sleep(0.01)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()
    return answered


def check_whole(server: RunningServer, answered: list[str]) -> None:
    users = rows(
        server,
        """
        SELECT username, email, password.hash, code.digest FROM "user"
        LEFT JOIN password ON password.user_sub = "user".sub
        LEFT JOIN code ON code.user_sub = "user".sub AND code.purpose = 'sign_up'
        WHERE username <> 'demo'
        """,
    )
    assert set(answered) <= {name for name, *_ in users}
    assert [name for name, _, hashed, code in users if not hashed or not code] == []
    # A message leaves after the commit: there is none to anybody who is not there.
    sent = rows(server, 'SELECT "to", code FROM outbox_message')
    assert {to for to, _ in sent} <= {email for _, email, *_ in users}
    assert rows(server, 'SELECT count(*) FROM code WHERE user_sub NOT IN (SELECT sub FROM "user")') == [(0,)]
    assert rows(server, 'SELECT count(*) FROM password WHERE user_sub NOT IN (SELECT sub FROM "user")') == [(0,)]


def check_signs_in(server: RunningServer, name: str) -> None:
    answer = call(
        server,
        "InitiateAuth",
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["AuthenticationResult"]["AccessToken"]
