"""`cognate client`."""

import json

from app import errors
from app.env import Env
from app.pools import client_secrets
from tests.build import CALLBACK, a_client, a_machine, a_pool
from tests.cli.conftest import Run


def test_clients_are_listed_by_name_and_without_secrets(run: Run, env: Env) -> None:
    pool = a_pool(env)
    app, machine = a_client(env, pool), a_machine(env, pool)
    a_client(env, a_pool(env))
    heading, *lines = run("client", "list", pool.id).output.splitlines()
    assert heading.split() == ["CLIENT", "ID", "NAME", "SECRET", "FLOWS", "REDIRECT", "URIS", "CREATED"]
    assert [line.split() for line in lines] == [
        [app.id, "App", "no", "code", CALLBACK, "2026-03-01", "12:00:00"],
        [machine.id, "Machine", "yes", "client_credentials", "-", "2026-03-01", "12:00:00"],
    ]
    output = run("client", "list", pool.id, "--json").output
    assert json.loads(output)[1] == {
        "client_id": machine.id,
        "name": "Machine",
        "secret": True,
        "flows": ["client_credentials"],
        "redirect_uris": [],
        "created": "2026-03-01T12:00:00Z",
    }
    assert client_secrets.of(env, machine)[0] not in output


def test_a_pool_that_is_not_there_has_no_clients_to_list(run: Run) -> None:
    done = run("client", "list", "us-east-1_nobody")
    assert done.output == "" and isinstance(done.exception, errors.UnknownPool)
