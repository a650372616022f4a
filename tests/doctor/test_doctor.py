"""All checks together: what happens to one hides nothing of the others, and nothing lasts for ever."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from app import doctor, errors
from app.config import Settings, SettingsError
from app.doctor import examined
from app.doctor.finding import ADVICE, FINE, GROUPS, PROBLEM, SKIPPED, Finding, Group
from app.doctor.subject import Subject
from app.doctor.together import together
from tests.conftest import test_settings

SECRET = "a secret of the driver"


def stated(found: list[Finding], group: str) -> list[tuple[str, str]]:
    return [(one.state, one.what) for one in found if one.group == group]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts others in the place of checks; all that are not named find that all is well."""

    def put(**checks: Callable[[Subject], list[Finding]]) -> None:
        usual = {group: lambda subject, group=group: [Group(group).fine("all", "All is well.")] for group in GROUPS}
        monkeypatch.setattr(doctor, "CHECKS", {**usual, **checks})

    return put


def test_every_group_has_a_check_and_is_looked_at(subject: Subject) -> None:
    assert tuple(doctor.CHECKS) == GROUPS
    found = examined(subject, [group for group in GROUPS if group not in ("proxy", "dns")])
    assert {one.group for one in found} >= {"configuration", "files", "database", "tls", "mail", "pools"}
    # The databases of the tests are fast rather than safe, and their clock is another.
    assert not [one for one in found if one.state == PROBLEM and one.group not in ("database", "clock")], found


def test_a_check_that_hangs_is_given_up_and_hides_nothing(subject: Subject, replaced: Callable[..., None]) -> None:
    never = threading.Event()
    replaced(mail=lambda subject: [] if never.wait() else [])
    found = examined(subject, seconds=0.05)
    assert stated(found, "mail") == [(PROBLEM, "This check was given up: it did not end within 0.05 seconds.")]
    assert len(found) == len(GROUPS)
    never.set()


@pytest.mark.parametrize(
    ("failed", "state", "what"),
    [
        (RuntimeError(SECRET), PROBLEM, "This check has failed (RuntimeError)."),
        (SettingsError("There is no key."), SKIPPED, "Not looked at: There is no key."),
        (errors.UnknownPool("x"), PROBLEM, "This was refused: User pool x does not exist."),
        (
            OperationalError(f"SELECT {SECRET}", {}, Exception("it is gone")),
            PROBLEM,
            "The database has failed: it is gone.",
        ),
    ],
)
def test_a_check_that_fails_says_so_and_no_secret(
    subject: Subject, replaced: Callable[..., None], failed: Exception, state: str, what: str
) -> None:
    def fail(subject: Subject) -> list[Finding]:
        raise failed

    replaced(tls=fail)
    found = examined(subject)
    assert stated(found, "tls") == [(state, what)]
    assert SECRET not in str(found) and len(found) == len(GROUPS)


def test_why_there_is_no_application_is_told_unless_a_check_has_told_it(
    unopened: Callable[[Settings], Subject], replaced: Callable[..., None]
) -> None:
    subject = unopened(test_settings("sqlite:///nowhere.sqlite"))
    replaced()
    told = [(PROBLEM, "The installation cannot be used: The database is on holiday."), (FINE, "All is well.")]
    assert stated(examined(subject), "configuration") == told
    replaced(database=lambda subject: [Group("database").problem("connection", "It is away.", "start it")])
    assert stated(examined(subject), "configuration") == told[1:]


def test_findings_come_by_group_and_the_worst_first(subject: Subject, replaced: Callable[..., None]) -> None:
    tell = Group("tls")
    replaced(tls=lambda subject: [tell.fine("a", "A."), tell.advice("b", "B.", "b"), tell.problem("c", "C.", "c")])
    found = examined(subject)
    assert [one.group for one in found] == sorted((one.group for one in found), key=GROUPS.index)
    assert [one.state for one in found if one.group == "tls"] == [PROBLEM, ADVICE, FINE]


def test_acts_go_on_at_one_time() -> None:
    """Each waits for the other."""
    both = threading.Barrier(2)
    outcomes = together({"a": lambda: both.wait(60) >= 0, "b": lambda: both.wait(60) >= 0}, 60)
    assert outcomes == {"a": True, "b": True}


def test_whoever_has_the_settings_only_is_told_what_can_be_seen_with_them(
    unopened: Callable[[Settings], Subject], settings: Settings
) -> None:
    found = examined(unopened(replace(settings, smtp_host="")), ["configuration", "pools", "proxy", "database"])
    assert {one.group for one in found if one.state == SKIPPED} == {"pools", "proxy"}
    assert [one for one in found if one.group == "database"], "it needs no application"
