"""Whatever happens in whatever order: nobody gets tokens who may not have them, and nothing outlives its end.

Random interleavings of everything that begins, renews and ends sign-ins, on a real database, with a small model beside
them that predicts what each must come to. COGNATE_FUZZ_EXAMPLES=500 makes as many walks, new ones each
time, and makes one that fails as short as it can be.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from app import create_app, errors
from app.accounts import administer, devices, factors, mfa, passwords, sign_up, sweep
from app.accounts import find as find_user
from app.crypto import jose, totp
from app.db import db
from app.env import Env, Origin
from app.messaging import outbox
from app.models import Client, Device, LoginSession, Pool, User
from app.pools import find
from app.pools import mfa as pool_mfa
from app.signin import flow, granting, set_up
from app.signin.state import Ask, Granted
from app.tokens import refresh, revoke, verify
from app.tokens.assurance import TRUSTED_DEVICE
from app.tokens.claims import API_SCOPE
from tests import postgres, remembering
from tests.build import a_client, a_pool, app_code
from tests.conftest import Clock, test_settings

pytestmark = pytest.mark.slow

GIVEN = os.environ.get("COGNATE_FUZZ_EXAMPLES")
EXAMPLES = {"sqlite": int(GIVEN or 60), "postgresql": int(GIVEN or 10)}
STEPS = 50

NAMES = ("alice", "bob")
HOME, ABROAD = "192.0.2.1", "198.51.100.9"
PASSWORDS = ("Correct-horse-1", "Correct-horse-2", "Correct-horse-3")
WRONG = "Wrong-horse-0"
ACCESS, REFRESH, STEP, GRACE = timedelta(minutes=5), timedelta(hours=1), timedelta(minutes=3), timedelta(seconds=30)
QUIET, SHOWN = timedelta(minutes=15), timedelta(seconds=totp.PERIOD)

CHANGES = ("a new password", "nothing", "not remembered")
"""What may happen to a device before it comes back."""

who = st.sampled_from(NAMES)
which = st.integers(min_value=0, max_value=30)
"""One of those that there are, counted from the newest."""
client, address = st.sampled_from((0, 1)), st.sampled_from((HOME, ABROAD))
usually = st.sampled_from((True,) * 4 + (False,))
seldom = st.sampled_from((False,) * 4 + (True,))
brought = st.one_of(st.none(), which)
"""Whether a sign-in names a device, and which: one of his own that there are, or now and then any."""

somebody = precondition(lambda self: self.people)
somebody_unconfirmed = precondition(lambda self: any(p.status == "UNCONFIRMED" for p in self.people.values()))
somebody_with_a_code = precondition(lambda self: any(p.reset for p in self.people.values()))
a_session = precondition(lambda self: self.sessions)
a_device = precondition(lambda self: any(not device.forgotten for device in self.devices))


@dataclass
class Counter:
    """Failures, as the reference counts them (4.8)."""

    count: int = 0
    open: int = 0
    """Attempts that were neither wrong nor written down yet."""
    locked: datetime | None = None
    forgotten: datetime | None = None

    def closed(self, now: datetime) -> bool:
        return self.locked is not None and now < self.locked

    def attempt(self, now: datetime) -> bool:
        if self.closed(now):
            return False
        if self.forgotten is not None and self.forgotten <= now:
            self.count, self.open, self.locked = 0, 0, None
        if self.open >= 20:
            return False
        self.open += 1
        self.forgotten = now + QUIET
        return True

    def fail(self, now: datetime) -> None:
        self.open, self.count = self.open - 1, self.count + 1
        if self.count >= 5:
            self.locked = now + min(timedelta(seconds=2 ** (self.count - 5)), QUIET)
            self.forgotten = self.locked + QUIET

    def forgive(self) -> None:
        self.open -= 1


@dataclass
class Person:
    name: str
    sub: str
    password: str
    status: str = "UNCONFIRMED"
    enabled: bool = True
    address_proven: bool = False
    version: int = 0
    """Of the password."""
    expires: datetime | None = None
    """Of a temporary one."""
    confirmation: str = ""
    """The code that confirms him."""
    reset: tuple[str, datetime] | None = None
    """A code with which a new password can be set, and until when."""
    app: str | None = None
    """The secret of his authenticator app."""
    last_step: int = 0
    asked_for_it: bool = False
    """Whether he has switched it on."""
    changed: datetime | None = None
    """When his password or a factor last changed."""
    counters: dict[str | None, Counter] = field(default_factory=dict)
    """By address, and one for all of them."""

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    def counter(self, ip: str | None = None) -> Counter:
        return self.counters.setdefault(ip, Counter())


@dataclass
class Remembered:
    """A device that was confirmed."""

    own: remembering.Device
    person: Person
    used: datetime
    """When it was confirmed, or last proved itself."""
    remembered: bool
    trusted: bool
    forgotten: bool = False

    @property
    def key(self) -> str:
        return self.own.key


@dataclass
class Waiting:
    """A challenge that was asked."""

    person: Person
    client: Client
    step: Ask
    until: datetime
    proven: tuple[str, ...]
    ip: str
    device: Remembered | None = None
    """That the sign-in has named."""
    code: str = ""
    """That was sent."""
    state: str = "open"
    """`open`, `used`, or `gone` with what it rested on."""


@dataclass
class Held:
    """A sign-in that was granted, and not written down yet."""

    person: Person
    client: Client
    granted: Granted
    ip: str
    status: str
    version: int | None
    """Of the password it rests on."""
    after: Waiting | None = None
    sets: str | None = None
    """A new password that comes with it."""
    code: tuple[str, int] | None = None
    """The code of an app, by its secret and its step."""
    set_up: bool = False
    """Whether the app was set up on the way."""
    device: Remembered | None = None
    proof_of: Remembered | None = None
    """The device that has just proven itself."""
    done: bool = False


@dataclass
class Session:
    id: str
    person: Person
    client: Client
    tokens: list[str]
    """Refresh tokens, the good one last."""
    access: str
    access_until: datetime
    until: datetime
    ip: str
    opened: datetime
    proven: tuple[str, ...]
    key: str | None
    """Of the device that signed in, or that was offered to it."""
    group: str | None
    """Of the offer."""
    rotated: datetime | None = None
    ended: bool = False
    swept: bool = False


class World:
    """An application and its clock; every walk has a pool of its own in it."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app, self.clock = app, clock
        self.env: Env = app.extensions["cognate"]


class Machine(RuleBasedStateMachine):
    world: World

    @initialize(
        second_factors=st.sampled_from(("OFF", "OPTIONAL", "OPTIONAL", "ON")),
        people=st.sampled_from((2, 1, 0)),
        tracking=st.sampled_from((*[(False, True)] * 4, (True, True), (True, True), (False, False), None)),
        most=st.sampled_from((2, 1)),
        late=st.sampled_from((False, False, True)),
        right=usually,
        after=st.sampled_from(CHANGES),
    )
    def a_pool_of_its_own(
        self,
        second_factors: str,
        people: int,
        tracking: tuple[bool, bool] | None,
        most: int,
        late: bool,
        right: bool,
        after: str,
    ) -> None:
        """`tracking`: whether devices are remembered on request only, and whether they spare the second factor. `most`:
        how many of them a user may have. The rest is for the first one of each, and how the last of them comes back."""
        self.env, self.clock = self.world.env, self.world.clock
        first = ["PASSWORD"] if second_factors == "ON" else ["PASSWORD", "EMAIL_OTP"]
        policies = {"sign_in_policy": {"allowed_first_auth_factors": first}}
        settings: dict[str, Any] = {"policies": policies}
        self.tracking = tracking
        devices.MOST_OF_A_USER = self.most = most  # the fixture puts it back
        if tracking is not None:
            settings["device_configuration"] = {
                "device_only_remembered_on_user_prompt": tracking[0],
                "challenge_required_on_new_device": tracking[1],
            }
        self.pool: Pool = a_pool(self.env, **settings)
        if second_factors != "OFF":
            wanted = {"mfa_configuration": second_factors, "software_token_mfa_configuration": {"enabled": True}}
            self.pool = pool_mfa.configure(self.env, self.pool, wanted)
        validity = {
            "access_token_validity": 5,
            "id_token_validity": 5,
            "refresh_token_validity": 60,
            "token_validity_units": {"access_token": "minutes", "id_token": "minutes", "refresh_token": "minutes"},
            "auth_session_validity": 3,
            "explicit_auth_flows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_USER_AUTH"],
        }
        rotating = {
            "refresh_token_rotation": {"feature": "ENABLED", "retry_grace_period_seconds": int(GRACE.total_seconds())},
        }
        self.clients = [a_client(self.env, self.pool, **validity, **more) for more in ({}, rotating)]
        self.people: dict[str, Person] = {}
        self.waiting: list[Waiting] = []
        self.held: list[Held] = []
        self.sessions: list[Session] = []
        self.devices: list[Remembered] = []
        for n in range(people):
            self.sign_up(confirmed=True)
            self.sign_in(NAMES[n], n, HOME, right=True, at_once=True, brings=None)
            if self.asked("MFA_SETUP"):
                self.set_one_up_on_the_way(0, HOME, right=True, give_up=False, at_once=True)
            elif self.pool.mfa != "OFF" and n == people - 1:
                self.set_up_an_app(0, right=True)
                self.switch_the_app(0, wanted=True)
                self.sign_in(NAMES[n], n, HOME, right=True, at_once=True, brings=None)
                self.show_a_code(0, False, HOME, right=True, offset=0, patient=True, at_once=True)
            self.confirm_a_device(0, another_key=False, late=late)
            if tracking == (True, True):
                self.remember(0, n, by_administrator=True, remembered=True)
            if tracking is not None and n == people - 1:
                after = "nothing" if late else after
                self.come_back(0, n, HOME, right=right, at_once=True, after=after, times=2)
                self.time_has_passed()
                self.confirm_a_device(0, another_key=False, late=False)

    # -- looking and comparing

    @property
    def now(self) -> datetime:
        return self.clock()

    def comes_to(self, expected: type[errors.Refusal] | None, act: Callable[[], Any]) -> Any:
        """What an act returns; it must be refused in just the way that is expected, or not at all. Raises
        errors.LimitExceeded: how often somebody may is not part of the model."""
        try:
            found = act()
        except (errors.LimitExceeded, errors.TooManyCodes):
            raise
        except errors.Refusal as refused:
            assert type(refused) is expected, f"{refused!r} instead of {expected}"
            return None
        assert expected is None, f"{found!r} instead of {expected}"
        return found

    def person(self, name: str) -> Person:
        """Of this name, or the other one where nobody has it."""
        return self.people.get(name) or next(iter(self.people.values()))

    def session(self, n: int) -> Session:
        """One that lives, if there is one; now and then any."""
        living = [each for each in self.sessions if not each.ended and self.now < each.access_until]
        found: Session = self.pick(living if living and n % 7 else self.sessions, n)
        return found

    @staticmethod
    def pick(those: list[Any], n: int) -> Any:
        return those[-1 - n % len(those)]

    def code_sent_to(self, person: Person) -> str:
        """The last one."""
        code = outbox.kept(self.env, person.email, limit=1)[0].code
        assert code
        return code

    # -- the model of an attempt

    def count(self, person: Person, ip: str) -> Counter | None:
        """The counter that takes an attempt; None while it is locked."""
        if person.counter().attempt(self.now):
            return person.counter()
        if self.known(person, ip) and person.counter(ip).attempt(self.now):
            return person.counter(ip)
        return None

    def locked(self, person: Person, ip: str) -> bool:
        near = not self.known(person, ip) or person.counter(ip).closed(self.now)
        return person.counter().closed(self.now) and near

    def known(self, person: Person, ip: str) -> bool:
        """Whether one of his sessions was last used from there."""
        return any(each.ip == ip and not each.swept for each in self.sessions_of(person))

    def forget(self, person: Person, ip: str | None = None) -> None:
        person.counters.pop(None, None)
        if ip:
            person.counters.pop(ip, None)

    def refused(
        self, person: Person, counted: Counter, right: bool, device: Remembered | None = None
    ) -> type[errors.Refusal] | None:
        """After a password was counted and compared."""
        if not right:
            counted.fail(self.now)
            return errors.NotAuthorized
        expired = person.expires is not None and self.now >= person.expires
        told: type[errors.Refusal] | None = {
            "UNCONFIRMED": errors.UserNotConfirmed,
            "RESET_REQUIRED": errors.PasswordResetRequired,
        }.get(person.status, errors.TemporaryPasswordExpired if expired else None)
        if told is None and self.gone(person, device):
            told = errors.ResourceNotFound
        if told is not None:
            counted.forgive()
        return told

    def following(self, person: Person, proven: tuple[str, ...], device: Remembered | None) -> str | None:
        if person.status == "FORCE_CHANGE_PASSWORD" and "NEW_PASSWORD_REQUIRED" not in proven:
            return "NEW_PASSWORD_REQUIRED"
        stands_in = device is not None and self.stands_in(device)
        if "DEVICE_PASSWORD_VERIFIER" not in proven:
            if "DEVICE_SRP_AUTH" in proven:
                return "DEVICE_PASSWORD_VERIFIER"
            if stands_in:
                return "DEVICE_SRP_AUTH"
        second = self.second_factor(person, proven)
        if second is not None and not stands_in:
            return second
        return "DEVICE_SRP_AUTH" if device is not None and "DEVICE_PASSWORD_VERIFIER" not in proven else None

    def second_factor(self, person: Person, proven: tuple[str, ...]) -> str | None:
        if self.pool.mfa == "OFF" or {"SOFTWARE_TOKEN_MFA", "EMAIL_OTP"} & set(proven):
            return None
        if person.app and (person.asked_for_it or self.pool.mfa == "ON"):
            return "SOFTWARE_TOKEN_MFA"
        return "MFA_SETUP" if self.pool.mfa == "ON" else None

    def onward(
        self,
        found: Any,
        person: Person,
        client: Client,
        ip: str,
        *,
        proven: tuple[str, ...],
        counted: Counter | None,
        at_once: bool,
        device: Remembered | None = None,
        **held: Any,
    ) -> None:
        """Take what a step came to, which must be what was to come."""
        asked = self.following(person, proven, device)
        if asked is not None:
            assert isinstance(found, Ask) and found.challenge == asked, f"{found!r} instead of {asked}"
            if counted is not None:
                counted.forgive()
            self.written(person, **held)
            self.waiting.append(Waiting(person, client, found, self.now + STEP, proven, ip, device))
            return
        assert isinstance(found, Granted), f"{found!r} instead of tokens"
        assert found.proven == proven
        if self.second_factor(person, proven) is not None:
            assert device is not None and device.person is person and not device.forgotten
            assert self.stands_in(device) and "DEVICE_PASSWORD_VERIFIER" in proven
        version = None if proven == ("EMAIL_OTP",) else person.version
        kept = Held(person, client, found, ip, person.status, version, device=device, **held)
        self.held.append(kept)
        if at_once:
            self.settle(kept)

    def written(
        self,
        person: Person,
        after: Waiting | None = None,
        sets: str | None = None,
        code: tuple[str, int] | None = None,
        set_up: bool = False,
        proof_of: Remembered | None = None,
    ) -> None:
        """What an accepted step changes."""
        if after is not None:
            after.state = "used"
        if sets is not None:
            self.new_password(person, sets, "CONFIRMED")
        if code is not None:
            person.last_step = code[1]
        if after is not None and after.step.challenge == "EMAIL_OTP":
            person.address_proven = True
        if set_up:
            person.asked_for_it = True
            self.factors_changed(person)
        if proof_of is not None and after is not None:
            proof_of.used = self.now
            proof_of.trusted = proof_of.trusted or self.two_factors(after.proven)

    @staticmethod
    def two_factors(proven: tuple[str, ...]) -> bool:
        return "SOFTWARE_TOKEN_MFA" in proven and bool({"PASSWORD", "PASSWORD_VERIFIER"} & set(proven))

    # -- people come and go

    @precondition(lambda self: len(self.people) < len(NAMES))
    @rule(confirmed=st.sampled_from((True, True, False)))
    def sign_up(self, confirmed: bool) -> None:
        name = next(one for one in NAMES if one not in self.people)
        done = sign_up.sign_up(
            self.env,
            self.clients[0],
            username=name,
            password=PASSWORDS[0],
            attributes={"email": f"{name}@example.com"},
            origin=Origin(),
        )
        self.people[name] = person = Person(name, done.user.sub, PASSWORDS[0])
        person.confirmation = self.code_sent_to(person)
        if confirmed:
            self.confirm()

    @somebody_unconfirmed
    @rule()
    def confirm(self) -> None:
        person = next(each for each in self.people.values() if each.status == "UNCONFIRMED")
        client = self.clients[0]
        try:
            sign_up.confirm(self.env, client, username=person.name, code=person.confirmation)
        except errors.ExpiredCode:
            if person.enabled:
                sign_up.resend(self.env, client, username=person.name, origin=Origin())
                person.confirmation = self.code_sent_to(person)
        except errors.LimitExceeded:
            pass
        else:
            person.status, person.address_proven = "CONFIRMED", True

    @somebody
    @rule(name=who, sure=seldom)
    def delete(self, name: str, sure: bool) -> None:
        if not sure:
            return
        person = self.person(name)
        administer.delete(self.env, self.pool, username=person.name)
        del self.people[person.name]
        self.nothing_waits_of(person)
        for session in self.sessions_of(person):
            session.ended = True
        for device in self.devices_of(person):
            device.forgotten = True
        person.status = "DELETED"

    @somebody
    @rule(name=who, for_good=seldom)
    def disable(self, name: str, for_good: bool) -> None:
        person = self.person(name)
        administer.disable(self.env, self.pool, username=person.name)
        person.enabled = False
        self.nothing_waits_of(person)
        self.everything_ends_of(person)
        if not for_good:
            self.enable(person.name)

    @somebody
    @rule(name=who)
    def enable(self, name: str) -> None:
        person = self.person(name)
        administer.enable(self.env, self.pool, username=person.name)
        person.enabled = True

    def sessions_of(self, person: Person) -> list[Session]:
        return [session for session in self.sessions if session.person is person]

    def everything_ends_of(self, person: Person) -> None:
        for session in self.sessions_of(person):
            session.ended = True

    def devices_of(self, person: Person) -> list[Remembered]:
        """Those that there are."""
        return [device for device in self.devices if device.person is person and not device.forgotten]

    def nothing_is_trusted_of(self, person: Person) -> None:
        person.changed = self.now
        for device in self.devices_of(person):
            device.trusted = False

    def factors_changed(self, person: Person) -> None:
        """A code that recovers his password ends as well: it may have gone to what is now a factor."""
        person.reset = None
        self.nothing_is_trusted_of(person)
        self.nothing_waits_of(person, but="used")

    def nothing_waits_of(self, person: Person, but: str = "") -> None:
        for waiting in self.waiting:
            if waiting.person is person and waiting.state != but:
                waiting.state = "gone"

    # -- signing in

    @somebody
    @rule(name=who, client=client, ip=address, right=usually, at_once=usually, brings=brought)
    def sign_in(self, name: str, client: int, ip: str, right: bool, at_once: bool, brings: int | None) -> None:
        person = self.person(name)
        self._sign_in(person, self.clients[client], ip, right, at_once, self.named(person, brings))

    def _sign_in(
        self, person: Person, by: Client, ip: str, right: bool, at_once: bool, device: Remembered | None
    ) -> None:
        given = {"USERNAME": person.name, "PASSWORD": person.password if right else WRONG, **self.key_of(device)}
        counted, expected = self._counted(person, ip, right, device)
        found = self.comes_to(expected, lambda: self._begin(by, "USER_PASSWORD_AUTH", ip, given))
        if expected is None:
            self.onward(found, person, by, ip, proven=("PASSWORD",), counted=counted, at_once=at_once, device=device)

    def _begin(self, client: Client, by: str, ip: str, given: dict[str, str]) -> Any:
        return flow.begin(self.env, client, flow=by, given=given, origin=Origin(ip=ip))

    def _counted(
        self, person: Person, ip: str, right: bool, device: Remembered | None = None
    ) -> tuple[Counter | None, type[errors.Refusal] | None]:
        if not person.enabled:
            return None, errors.UserDisabled
        counted = self.count(person, ip)
        if counted is None:
            return None, errors.LockedOut
        return counted, self.refused(person, counted, right, device)

    @somebody
    @rule(name=who, client=client, ip=address, right=usually, at_once=usually, brings=brought)
    def sign_in_by_srp(self, name: str, client: int, ip: str, right: bool, at_once: bool, brings: int | None) -> None:
        person, by = self.person(name), self.clients[client]
        device = self.named(person, brings)
        secret = remembering.Secret(self.pool.id.split("_")[1], person.name, person.password if right else WRONG)
        expected: type[errors.Refusal] | None = None
        if self.locked(person, ip):
            expected = errors.LockedOut
        elif not person.enabled:
            expected = errors.UserDisabled
        given = {"USERNAME": person.name, "SRP_A": secret.public, **self.key_of(device)}
        step = self.comes_to(expected, lambda: self._begin(by, "USER_SRP_AUTH", ip, given))
        if step is None:
            return
        assert step.challenge == "PASSWORD_VERIFIER" and step.handle is None
        counted, expected = self._counted(person, ip, right, device)
        answer = {**secret.claim(step.params, self.now), **self.key_of(device)}
        found = self.comes_to(expected, lambda: self._answer(by, "PASSWORD_VERIFIER", None, ip, answer))
        if expected is None:
            proven = ("PASSWORD_VERIFIER",)
            self.onward(found, person, by, ip, proven=proven, counted=counted, at_once=at_once, device=device)

    def _answer(self, client: Client, challenge: str, session: str | None, ip: str, given: dict[str, str]) -> Any:
        return flow.answer(self.env, client, challenge=challenge, session=session, given=given, origin=Origin(ip=ip))

    @somebody
    @rule(name=who, client=client, ip=address, brings=brought)
    def ask_for_a_code(self, name: str, client: int, ip: str, brings: int | None) -> None:
        """USER_AUTH; whoever has a second factor gets none in place of his password."""
        person, by = self.person(name), self.clients[client]
        device = self.named(person, brings)
        expected: type[errors.Refusal] | None = None
        if self.locked(person, ip):
            expected = errors.LockedOut
        elif not person.enabled:
            expected = errors.UserDisabled
        given = {"USERNAME": person.name, "PREFERRED_CHALLENGE": "EMAIL_OTP", **self.key_of(device)}
        with suppress(errors.TooManyCodes):
            step = self.comes_to(expected, lambda: self._begin(by, "USER_AUTH", ip, given))
            if step is None:
                return
            by_code = "EMAIL_OTP" in self.pool.first_factors and person.status != "FORCE_CHANGE_PASSWORD"
            if self.pool.mfa != "OFF" and person.app and person.asked_for_it:
                by_code = False
            assert step.challenge == ("EMAIL_OTP" if by_code else "SELECT_CHALLENGE")
            assert ("EMAIL_OTP" in step.available) == by_code
            if by_code:
                code = self.code_sent_to(person)
                self.waiting.append(Waiting(person, by, step, self.now + STEP, (), ip, device, code=code))

    @precondition(lambda self: self.asked("EMAIL_OTP"))
    @rule(one=which, another_client=seldom, ip=address, right=usually, at_once=usually)
    def bring_the_code(self, one: int, another_client: bool, ip: str, right: bool, at_once: bool) -> None:
        waiting = self.pick(self.asked("EMAIL_OTP"), one)
        person, by = waiting.person, self.client_of(waiting, another_client)
        expected, counted = self._open(waiting, another_client), None
        if expected is None:
            counted = self.count(person, ip)
            if counted is None:
                expected = errors.LockedOut
            elif right:
                expected = self.refused(person, counted, right, waiting.device)
            else:
                expected = errors.CodeMismatch
                counted.fail(self.now)
        given = {"USERNAME": person.name, "EMAIL_OTP_CODE": waiting.code if right else "0" * len(waiting.code)}
        found = self.comes_to(expected, lambda: self._answer(by, "EMAIL_OTP", waiting.step.handle, ip, given))
        if expected is None:
            proven, device = ("EMAIL_OTP",), waiting.device
            self.onward(
                found, person, by, ip, proven=proven, counted=counted, at_once=at_once, device=device, after=waiting
            )
        elif expected is errors.ResourceNotFound:
            waiting.device = None

    @somebody
    @rule(name=who, ip=address, sure=seldom)
    def guess(self, name: str, ip: str, sure: bool) -> None:
        """Until it is locked."""
        person = self.person(name)
        if not sure or not person.enabled:
            return
        given = {"USERNAME": person.name, "PASSWORD": WRONG}
        for _ in range(6):
            _, expected = self._counted(person, ip, right=False)
            self.comes_to(expected, lambda: self._begin(self.clients[0], "USER_PASSWORD_AUTH", ip, given))

    @precondition(lambda self: self.asked("NEW_PASSWORD_REQUIRED"))
    @rule(one=which, another_client=seldom, ip=address)
    def choose_a_password(self, one: int, another_client: bool, ip: str) -> None:
        waiting = self.pick(self.asked("NEW_PASSWORD_REQUIRED"), one)
        by = self.client_of(waiting, another_client)
        given = {"USERNAME": waiting.person.name, "NEW_PASSWORD": PASSWORDS[1]}
        expected = self._open(waiting, another_client) or self._device_gone(waiting)
        found = self.comes_to(
            expected, lambda: self._answer(by, "NEW_PASSWORD_REQUIRED", waiting.step.handle, ip, given)
        )
        if expected is None:
            self.onward(
                found,
                waiting.person,
                by,
                ip,
                proven=(*waiting.proven, "NEW_PASSWORD_REQUIRED"),
                counted=None,
                at_once=True,
                device=waiting.device,
                after=waiting,
                sets=PASSWORDS[1],
            )

    def asked(self, challenge: str) -> list[Waiting]:
        return [each for each in self.waiting if each.step.challenge == challenge]

    def client_of(self, one: Waiting | Session, another: bool) -> Client:
        return next(each for each in self.clients if (each is one.client) != another)

    def _open(self, waiting: Waiting, another_client: bool) -> type[errors.Refusal] | None:
        """What whoever answers is told of his session."""
        if another_client or waiting.state == "gone":
            return errors.SessionInvalid
        if waiting.state == "used":
            return errors.SessionUsed
        return errors.SessionExpired if self.now >= waiting.until else None

    def _device_gone(self, waiting: Waiting) -> type[errors.Refusal] | None:
        """What he is told whose answer is right, and whose device has been forgotten meanwhile: once, and the same
        session then goes on without."""
        if not self.gone(waiting.person, waiting.device):
            return None
        waiting.device = None
        return errors.ResourceNotFound

    @precondition(lambda self: any(not held.done for held in self.held))
    @rule(one=which)
    def settle_later(self, one: int) -> None:
        """What was granted a while ago is turned into tokens, whatever has happened meanwhile."""
        self.settle(self.pick([held for held in self.held if not held.done], one))

    def settle(self, held: Held) -> None:
        person, held.done, now = held.person, True, self.now
        expected: type[errors.Refusal] | None = None
        if person.status == "DELETED":
            expected = errors.NotAuthorized
        elif not person.enabled:
            expected = errors.UserDisabled
        elif person.status != held.status or held.version not in (None, person.version):
            expected = errors.NotAuthorized
        elif held.after is not None and held.after.state != "open":
            expected = errors.SessionUsed
        elif held.code is not None and (person.app != held.code[0] or person.last_step >= held.code[1]):
            expected = errors.CodeUsed
        elif self.gone(person, held.device):
            expected = errors.ResourceNotFound
        elif TRUSTED_DEVICE in held.granted.proven and not (held.device and held.device.trusted):
            expected = errors.SessionInvalid
        tokens = self.comes_to(expected, lambda: granting.tokens(self.env, held.granted))
        if tokens is None:
            return
        self.written(person, held.after, held.sets, held.code, held.set_up, held.proof_of)
        self.forget(person, held.ip)
        verified, offered = self.looked_at(tokens.access), tokens.new_device
        assert (offered is not None) == (self.tracking is not None and held.device is None)
        key = held.device.key if held.device else offered.key if offered else None
        assert verified.claims.get("device_key") == key
        self.sessions.append(
            Session(
                verified.session.id,
                person,
                held.client,
                [tokens.refresh],
                tokens.access,
                now + ACCESS,
                now + REFRESH,
                held.ip,
                opened=now,
                proven=held.granted.proven,
                key=key,
                group=offered.group_key if offered else None,
            )
        )

    # -- devices

    def named(self, person: Person, n: int | None) -> Remembered | None:
        """The device that a sign-in of his names."""
        those = () if n is None else self.devices if n % 7 == 6 else self.devices_of(person)
        return self.pick(those, n) if those else None

    @staticmethod
    def key_of(device: Remembered | None) -> dict[str, str]:
        return {} if device is None else {"DEVICE_KEY": device.key}

    @staticmethod
    def gone(person: Person, device: Remembered | None) -> bool:
        """Whether it is none of his."""
        return device is not None and (device.person is not person or device.forgotten)

    def stands_in(self, device: Remembered) -> bool:
        """For a second factor."""
        return self.tracking is not None and self.tracking[1] and device.remembered and device.trusted

    def standing_in(self, device: Remembered) -> tuple[str, ...]:
        """What is noted beside the proof of a device that does."""
        return (TRUSTED_DEVICE,) if self.stands_in(device) else ()

    def forgotten(self, device: Remembered) -> None:
        device.forgotten = True
        for session in self.sessions:
            session.ended = session.ended or session.key == device.key

    @a_session
    @rule(one=which, another_key=seldom, late=seldom)
    def confirm_a_device(self, one: int, another_key: bool, late: bool) -> None:
        known = {device.key for device in self.devices}
        offers = [each for each in self.sessions if each.group and each.key not in known and not each.ended]
        session: Session = self.pick(offers, one) if offers and one % 7 != 6 else self.session(one)
        if late and session.person.status != "DELETED":
            self.clock.forward(seconds=1)
            self.set_password(session.person.name, permanent=True)
        verified = self.refused_if_ended(session)
        if verified is None:
            return
        person, key = session.person, session.key
        if another_key or key is None:
            key = next((each.key for each in reversed(self.sessions) if each.key and each.key != key), "us-east-1_0")
        own = remembering.Device(key, session.group or "")
        given = own.config
        expected: type[errors.Refusal] | None = None
        if self.tracking is None:
            expected = errors.InvalidUserPoolConfiguration
        elif any(device.key == key and not device.forgotten for device in self.devices):
            expected = errors.DeviceKeyExists
        elif key != session.key:
            expected = errors.InvalidParameter
        on_request = self.comes_to(
            expected,
            lambda: devices.confirm(
                self.env,
                session.client,
                verified.user,
                verified.session,
                key=key,
                name=None,
                password_verifier=given["PasswordVerifier"],
                salt=given["Salt"],
                origin=Origin(ip=HOME),
            ),
        )
        if expected is not None:
            return
        assert self.tracking is not None and on_request == self.tracking[0]
        trusted = self.two_factors(session.proven) and (person.changed is None or person.changed <= session.opened)
        his = sorted(self.devices_of(person), key=lambda each: (each.remembered, each.used), reverse=True)
        for device in his[self.most - 1 :]:
            self.forgotten(device)
        self.devices.append(Remembered(own, person, self.now, not on_request, trusted))

    @a_device
    @rule(
        one=which,
        client=client,
        ip=address,
        right=usually,
        at_once=usually,
        after=st.sampled_from(CHANGES),
        times=st.sampled_from((2, 1)),
    )
    def come_back(self, one: int, client: int, ip: str, right: bool, at_once: bool, after: str, times: int) -> None:
        """All of a sign-in, with nothing wrong but perhaps the last proof, and what has happened before."""
        device: Remembered = self.pick([device for device in self.devices if not device.forgotten], one)
        if after == "a new password":
            self.set_password(device.person.name, permanent=True)
        elif after == "not remembered":
            user = find_user.existing(self.env, self.pool, device.person.name).user
            devices.set_status(self.env, self.pool, user, device.key, remembered=False)
            device.remembered = False
        for _ in range(times):
            before = len(self.waiting)
            self._sign_in(device.person, self.clients[client], ip, True, at_once, device)
            while len(self.waiting) > before:
                before = len(self.waiting)
                match self.waiting[-1].step.challenge:
                    case "DEVICE_SRP_AUTH":
                        self.the_device_begins(0, False, ip, with_session=True, another_device=False)
                    case "DEVICE_PASSWORD_VERIFIER":
                        self.the_device_proves_itself(0, False, ip, with_session=True, right=right, at_once=at_once)
                    case "SOFTWARE_TOKEN_MFA":
                        self.show_a_code(0, False, ip, right=True, offset=0, patient=True, at_once=at_once)

    @precondition(lambda self: self.asked("DEVICE_SRP_AUTH"))
    @rule(one=which, another_client=seldom, ip=address, with_session=usually, another_device=seldom)
    def the_device_begins(
        self, one: int, another_client: bool, ip: str, with_session: bool, another_device: bool
    ) -> None:
        waiting = self.pick(self.asked("DEVICE_SRP_AUTH"), one)
        person, by = waiting.person, self.client_of(waiting, another_client)
        device = self.pick(self.devices, one) if another_device else self._asked_of(waiting)
        resumed, expected = self._resumed(waiting, device, by, ip, with_session)
        if resumed is not None:
            if resumed.device not in (None, device):
                expected = errors.ResourceNotFound
            elif self.gone(person, device):
                expected, resumed.device = errors.ResourceNotFound, None
        handle, given = waiting.step.handle if with_session else None, device.own.first(person.name)
        found = self.comes_to(expected, lambda: self._answer(by, "DEVICE_SRP_AUTH", handle, ip, given))
        if expected is None and resumed is not None:
            proven = (*resumed.proven, "DEVICE_SRP_AUTH")
            self.onward(found, person, by, ip, proven=proven, counted=None, at_once=True, device=device, after=resumed)

    @precondition(lambda self: self.asked("DEVICE_PASSWORD_VERIFIER"))
    @rule(one=which, another_client=seldom, ip=address, with_session=usually, right=usually, at_once=usually)
    def the_device_proves_itself(
        self, one: int, another_client: bool, ip: str, with_session: bool, right: bool, at_once: bool
    ) -> None:
        waiting = self.pick(self.asked("DEVICE_PASSWORD_VERIFIER"), one)
        person, by = waiting.person, self.client_of(waiting, another_client)
        device = self._asked_of(waiting)
        (resumed, expected), counted = self._resumed(waiting, device, by, ip, with_session), None
        if resumed is not None:
            counted = self.count(person, ip)
            if counted is None:
                expected = errors.LockedOut
            elif self.gone(person, device):
                expected = errors.ResourceNotFound
            elif resumed is not waiting:
                expected = errors.SessionInvalid  # signed for another exchange
            elif not right:
                expected = errors.NotAuthorized
            if counted is not None and expected is not None:
                counted.fail(self.now)
        own = device.own if right else remembering.Device(device.key, device.own.group, password="somebody else's")
        own.secret.a = device.own.secret.a
        handle, given = waiting.step.handle if with_session else None, own.second(waiting.step.params, self.now)
        found = self.comes_to(expected, lambda: self._answer(by, "DEVICE_PASSWORD_VERIFIER", handle, ip, given))
        if expected is None and resumed is not None:
            self.onward(
                found,
                person,
                by,
                ip,
                proven=(*resumed.proven, *self.standing_in(device), "DEVICE_PASSWORD_VERIFIER"),
                counted=counted,
                at_once=at_once,
                device=device,
                after=resumed,
                proof_of=device,
            )

    def _asked_of(self, waiting: Waiting) -> Remembered:
        return next(device for device in self.devices if device.key == waiting.step.params["DEVICE_KEY"])

    def _resumed(
        self, waiting: Waiting, device: Remembered, by: Client, ip: str, with_session: bool
    ) -> tuple[Waiting | None, type[errors.Refusal] | None]:
        """The sign-in that an answer goes on with: that of its session, or where that is not good for it, the newest
        that waits for this device at this address."""
        if with_session and waiting.client is by and waiting.state == "open":
            return (None, errors.SessionExpired) if self.now >= waiting.until else (waiting, None)
        there = [
            each
            for each in self.asked(waiting.step.challenge)
            if each.person is waiting.person
            and each.client is by
            and each.state == "open"
            and self.now < each.until
            and each.device is device
            and each.ip == ip
        ]
        return (there[-1], None) if there else (None, errors.SessionInvalid)

    @a_device
    @rule(one=which, asker=which, by_administrator=st.booleans(), remembered=st.booleans())
    def remember(self, one: int, asker: int, by_administrator: bool, remembered: bool) -> None:
        device: Remembered = self.pick(self.devices, one)
        asking = self._asking(asker, by_administrator)
        if asking is None:
            return
        person, user = asking
        expected = errors.ResourceNotFound if self.gone(person, device) else None
        self.comes_to(
            expected, lambda: devices.set_status(self.env, self.pool, user, device.key, remembered=remembered)
        )
        if expected is None:
            device.remembered = remembered

    @a_device
    @rule(one=which, asker=which, by_administrator=st.booleans(), sure=st.booleans())
    def forget_a_device(self, one: int, asker: int, by_administrator: bool, sure: bool) -> None:
        if not sure:
            return
        device: Remembered = self.pick(self.devices, one)
        asking = self._asking(asker, by_administrator)
        if asking is None:
            return
        person, user = asking
        expected = errors.ResourceNotFound if self.gone(person, device) else None
        self.comes_to(expected, lambda: devices.forget(self.env, self.pool, user, device.key))
        if expected is None:
            self.forgotten(device)

    def _asking(self, n: int, by_administrator: bool) -> tuple[Person, User] | None:
        """Whose device is meant: somebody's with an access token, or whom an administrator names."""
        if not by_administrator:
            session = self.session(n)
            verified = self.refused_if_ended(session)
            return (session.person, verified.user) if verified is not None else None
        if not self.people:
            return None
        person = self.person(NAMES[n % len(NAMES)])
        return person, find_user.existing(self.env, self.pool, person.name).user

    # -- the authenticator app

    def code_of(self, secret: str, offset: int, right: bool) -> tuple[str, int]:
        """What an app shows whose clock is so many steps ahead, and its step; or what it does not show."""
        while len(set(near := [app_code(secret, self.now + n * SHOWN) for n in (-1, 0, 1)])) < len(near):
            self.clock.forward(seconds=totp.PERIOD)  # two of a million are alike
        step = int(self.now.timestamp()) // totp.PERIOD + offset
        return (
            near[offset + 1] if right else next(c for c in ("000000", "111111", "222222", "333333") if c not in near)
        ), step

    @a_session
    @rule(one=which, right=usually)
    def set_up_an_app(self, one: int, right: bool) -> None:
        session = self.session(one)
        verified = self.refused_if_ended(session)
        if verified is None:
            return
        person, expected = session.person, None if self.pool.mfa != "OFF" else errors.SoftwareTokenMFANotFound
        secret = self.comes_to(expected, lambda: mfa.associate(self.env, session.client, verified.user))
        if secret is None:
            return
        code, step = self.code_of(secret, 0, right)
        counted = self.count(person, HOME)
        expected = errors.LockedOut if counted is None else None if right else errors.EnableSoftwareTokenMFA
        if counted is not None and not right:
            counted.fail(self.now)
        self.comes_to(
            expected,
            lambda: mfa.verify(self.env, session.client, verified.user, code=code, name=None, origin=Origin(ip=HOME)),
        )
        if expected is None and counted is not None:
            counted.forgive()
            person.app, person.last_step = secret, step
            self.factors_changed(person)

    @a_session
    @rule(one=which, wanted=usually)
    def switch_the_app(self, one: int, wanted: bool) -> None:
        session = self.session(one)
        verified = self.refused_if_ended(session)
        if verified is None:
            return
        person = session.person
        expected = errors.InvalidParameter if wanted and person.app is None else None
        setting = {factors.TOTP: mfa.Setting(wanted, None)}
        self.comes_to(expected, lambda: mfa.prefer(self.env, verified.user, setting))
        if expected is None and person.asked_for_it != wanted:
            person.asked_for_it = wanted
            self.factors_changed(person)

    @somebody
    @rule(name=who)
    def remove_the_app(self, name: str) -> None:
        person = self.person(name)
        expected = errors.InvalidParameter if person.app is None else None
        self.comes_to(expected, lambda: mfa.remove_token(self.env, self.pool, username=person.name))
        if expected is None:
            person.app, person.asked_for_it = None, False
            self.factors_changed(person)

    @precondition(lambda self: self.asked("SOFTWARE_TOKEN_MFA"))
    @rule(
        one=which,
        another_client=seldom,
        ip=address,
        right=usually,
        offset=st.sampled_from((0, 0, -1, 1)),
        patient=usually,
        at_once=usually,
    )
    def show_a_code(
        self, one: int, another_client: bool, ip: str, right: bool, offset: int, patient: bool, at_once: bool
    ) -> None:
        waiting = self.pick(self.asked("SOFTWARE_TOKEN_MFA"), one)
        person, by = waiting.person, self.client_of(waiting, another_client)
        if patient:
            self.clock.forward(seconds=totp.PERIOD)  # for a code that was not shown yet
        code, step = self.code_of(person.app or totp.new_secret(), offset, right)
        expected, counted = self._open(waiting, another_client), None
        if expected is None:
            counted = self.count(person, ip)
            if counted is None:
                expected = errors.LockedOut
            elif not right:
                expected = errors.CodeMismatch
            elif step <= person.last_step:
                expected = errors.CodeUsed
            if counted is not None and expected is not None:
                counted.fail(self.now)
            if counted is not None and expected is None:
                expected = self._device_gone(waiting)
                if expected is not None:
                    counted.forgive()
        given = {"USERNAME": person.name, "SOFTWARE_TOKEN_MFA_CODE": code}
        found = self.comes_to(expected, lambda: self._answer(by, "SOFTWARE_TOKEN_MFA", waiting.step.handle, ip, given))
        if expected is None:
            self.onward(
                found,
                person,
                by,
                ip,
                proven=(*waiting.proven, "SOFTWARE_TOKEN_MFA"),
                counted=counted,
                at_once=at_once,
                device=waiting.device,
                after=waiting,
                code=(person.app, step),
            )

    @precondition(lambda self: self.asked("MFA_SETUP"))
    @rule(one=which, ip=address, right=usually, give_up=seldom, at_once=usually)
    def set_one_up_on_the_way(self, one: int, ip: str, right: bool, give_up: bool, at_once: bool) -> None:
        waiting = self.pick(self.asked("MFA_SETUP"), one)
        person, origin = waiting.person, Origin(ip=ip)
        expected = self._open(waiting, False)
        if expected is None and person.app:
            expected = errors.SessionInvalid
        begun = self.comes_to(expected, lambda: set_up.begin(self.env, waiting.step.handle, origin=origin))
        if begun is None:
            return
        secret, handle = begun
        waiting.step, waiting.until = replace(waiting.step, handle=handle), self.now + STEP
        if give_up:
            return
        code, step = self.code_of(secret, 0, right)
        counted = self.count(person, ip)
        expected = errors.LockedOut if counted is None else None if right else errors.EnableSoftwareTokenMFA
        if counted is not None and not right:
            counted.fail(self.now)
        handle = self.comes_to(
            expected, lambda: set_up.verify(self.env, waiting.step.handle, code=code, name=None, origin=origin)
        )
        if handle is None or counted is None:
            return
        counted.forgive()
        person.app, person.last_step = secret, step
        waiting.step = replace(waiting.step, handle=handle)
        given = {"USERNAME": person.name}
        expected = self._device_gone(waiting)
        found = self.comes_to(expected, lambda: self._answer(waiting.client, "MFA_SETUP", handle, ip, given))
        if expected is None:
            self.onward(
                found,
                person,
                waiting.client,
                ip,
                proven=(*waiting.proven, "MFA_SETUP", "SOFTWARE_TOKEN_MFA"),
                counted=None,
                at_once=at_once,
                device=waiting.device,
                after=waiting,
                set_up=True,
            )

    # -- passwords

    def new_password(self, person: Person, password: str, status: str, expires: datetime | None = None) -> None:
        person.password, person.status, person.expires = password, status, expires
        person.version += 1
        person.reset = None
        self.nothing_is_trusted_of(person)
        self.nothing_waits_of(person, but="used")
        self.forget(person)

    @a_session
    @rule(one=which, right=st.booleans(), chosen=st.sampled_from(PASSWORDS))
    def change_password(self, one: int, right: bool, chosen: str) -> None:
        session = self.session(one)
        verified = self.refused_if_ended(session)
        if verified is None:
            return
        person = session.person
        expected = {"RESET_REQUIRED": errors.PasswordResetRequired, "FORCE_CHANGE_PASSWORD": errors.NotAuthorized}.get(
            person.status
        )
        if not right:
            expected = errors.NotAuthorized
        previous = person.password if right else WRONG
        with suppress(errors.LimitExceeded):
            self.comes_to(
                expected,
                lambda: passwords.change(self.env, session.client, verified.user, previous=previous, proposed=chosen),
            )
            if expected is None:
                self.new_password(person, chosen, person.status)

    @somebody
    @rule(name=who, by_administrator=st.booleans())
    def reset_password(self, name: str, by_administrator: bool) -> None:
        """Forgotten, or reset by an administrator: a code goes out."""
        person = self.person(name)
        expected: type[errors.Refusal] | None = None
        if not person.enabled:
            expected = errors.UserDisabled
        elif person.status == "FORCE_CHANGE_PASSWORD":
            expected = errors.NotAuthorized
        elif not person.address_proven:
            expected = errors.InvalidParameter
        with suppress(errors.LimitExceeded):
            if by_administrator:
                self.comes_to(
                    expected, lambda: passwords.reset_by_administrator(self.env, self.pool, username=person.name)
                )
                if expected is None:
                    person.status = "RESET_REQUIRED"
                    self.nothing_is_trusted_of(person)
                    self.nothing_waits_of(person, but="used")
            else:
                client = self.clients[0]
                self.comes_to(
                    expected, lambda: passwords.forgot(self.env, client, username=person.name, origin=Origin())
                )
            if expected is None:
                person.reset = (self.code_sent_to(person), self.now + timedelta(hours=1))

    @somebody_with_a_code
    @rule(chosen=st.sampled_from(PASSWORDS))
    def recover(self, chosen: str) -> None:
        person = next(each for each in self.people.values() if each.reset)
        code, until = person.reset or ("", self.now)
        expected: type[errors.Refusal] | None = None
        if not person.enabled:
            expected = errors.UserDisabled
        elif person.status == "FORCE_CHANGE_PASSWORD":
            expected = errors.NotAuthorized
        elif self.now >= until:
            expected = errors.ExpiredCode
        with suppress(errors.LimitExceeded):
            self.comes_to(
                expected,
                lambda: passwords.confirm_forgot(
                    self.env, self.clients[0], username=person.name, code=code, password=chosen
                ),
            )
            if expected is None:
                self.new_password(person, chosen, "CONFIRMED")

    @somebody
    @rule(name=who, permanent=st.booleans())
    def set_password(self, name: str, permanent: bool) -> None:
        person = self.person(name)
        passwords.set_by_administrator(
            self.env, self.pool, username=person.name, password=PASSWORDS[2], permanent=permanent
        )
        status = "CONFIRMED" if permanent else "FORCE_CHANGE_PASSWORD"
        self.new_password(person, PASSWORDS[2], status, None if permanent else self.now + timedelta(days=7))

    # -- tokens

    def looked_at(self, access: str) -> verify.Verified:
        return verify.access_token(self.env, access, scope=API_SCOPE, pool_of=lambda one: find.pool(self.env, one))

    def refused_if_ended(self, session: Session) -> verify.Verified | None:
        """What an operation with the session's latest access token comes to: ended ones are refused at once."""
        expected: type[errors.Refusal] | None = None
        if session.person.status == "DELETED" and self.now < session.access_until:
            expected = errors.UserNotFound
        elif session.ended or self.now >= session.access_until:
            expected = errors.TokenRefused
        found: verify.Verified | None = self.comes_to(expected, lambda: self.looked_at(session.access))
        if found is not None:
            assert (found.user.sub, found.session.id) == (session.person.sub, session.id)
            assert found.user.enabled and found.user.status != "UNCONFIRMED"
        return found

    @a_session
    @rule(
        one=which,
        backs=st.lists(st.sampled_from((0, 0, 0, 1, 2)), min_size=2, max_size=6),
        another_client=seldom,
        with_key=st.booleans(),
    )
    def refresh(self, one: int, backs: list[int], another_client: bool, with_key: bool) -> None:
        """With the good token, or with one that was good before."""
        good = [each for each in self.sessions if not each.ended and self.now < each.until]
        session: Session = self.pick(good if good and one % 7 else self.sessions, one)
        for back in backs:
            self._refresh(session, back, another_client, with_key)
            if session.ended:
                break

    def _refresh(self, session: Session, back: int, another_client: bool, with_key: bool) -> None:
        """Within the grace the token before the good one gives the same as it gave; after it, it ends the session."""
        by, back = self.client_of(session, another_client), min(back, len(session.tokens) - 1)
        again = back == 1 and session.rotated is not None and self.now < session.rotated + GRACE
        expected: type[errors.Refusal] | None = None
        if another_client or session.ended or self.now >= session.until:
            expected = errors.RefreshTokenRefused
        elif back and not again:
            expected = errors.RefreshTokenReuse
        elif not with_key and any(each.key == session.key for each in self.devices_of(session.person)):
            expected = errors.RefreshTokenRefused
        token, key = session.tokens[-1 - back], session.key if with_key else None
        origin = Origin(ip=ABROAD)
        tokens = self.comes_to(
            expected, lambda: refresh.tokens(self.env, by, token, oauth=False, origin=origin, device_key=key)
        )
        session.ended = session.ended or expected is errors.RefreshTokenReuse
        if tokens is None:
            return
        session.access, session.access_until = tokens.access, self.now + ACCESS
        if session.client is self.clients[0]:
            assert tokens.refresh is None
        elif again:
            assert tokens.refresh == session.tokens[-1]
        else:
            assert tokens.refresh not in session.tokens
            session.tokens.append(tokens.refresh)
            session.rotated, session.ip = self.now, ABROAD

    @a_session
    @rule(one=which, another_client=seldom)
    def revoke(self, one: int, another_client: bool) -> None:
        """By any of its tokens, also one that was used."""
        session = self.session(one)
        client = self.client_of(session, another_client)
        with self.env.transaction():
            revoke.refresh_token(self.env, client, session.tokens[0])
        session.ended = session.ended or not another_client

    @a_session
    @rule(one=which)
    def sign_out_everywhere(self, one: int) -> None:
        session = self.session(one)
        verified = self.refused_if_ended(session)
        if verified is not None:
            with self.env.transaction():
                revoke.everything_of(self.env, verified.user)
            self.everything_ends_of(session.person)

    # -- time

    @rule(seconds=st.sampled_from((1, 1, 10, 10, 31, 31, 61, 61, 181, 301, 901, 3601, 8 * 86400)))
    def wait(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        """What has expired may be gone or not: nobody can tell, but by the sentence."""
        sweep.expired(self.env)
        for waiting in self.waiting:
            if self.now >= waiting.until:
                waiting.state = "gone"
        for session in self.sessions:
            session.swept = session.swept or self.now >= session.until + timedelta(days=1)
            session.ended = session.ended or session.swept

    # -- what holds after every step

    @invariant()
    def time_has_passed(self) -> None:
        """What was before is then known to be before."""
        self.world.clock.forward(microseconds=1)

    @invariant()
    def devices_are_whose_they_are_and_trusted_while_nothing_changes(self) -> None:
        if not getattr(self, "tracking", None):
            return
        with self.env.reading() as database:
            rows = database.execute(
                select(Device.key, Device.user_sub, Device.remembered, Device.trusted)
                .join(User, User.sub == Device.user_sub)
                .where(User.pool_id == self.pool.id)
            )
            found = {tuple(row) for row in rows}
        there = [device for device in self.devices if not device.forgotten]
        assert found == {(each.key, each.person.sub, each.remembered, each.trusted) for each in there}

    @invariant()
    def no_session_survives_its_end(self) -> None:
        """And there is none that nobody has signed in for."""
        if not hasattr(self, "pool"):
            return
        with self.env.reading() as database:
            mine = [client.id for client in self.clients]
            alive = set(
                database.scalars(
                    select(LoginSession.id).where(
                        LoginSession.client_id.in_(mine),
                        LoginSession.revoked_at.is_(None),
                        LoginSession.expires_at > self.now,
                    )
                )
            )
        assert alive == {one.id for one in self.sessions if not one.ended and self.now < one.until}

    @invariant()
    def access_tokens_end_with_their_sessions(self) -> None:
        for session in getattr(self, "sessions", [])[-3:]:
            self.refused_if_ended(session)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("machine")
    if request.param == "sqlite":
        path = directory / "cognate.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite:///{path}"
    else:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.create(f"machine{os.getpid()}", template=request.getfixturevalue("postgres_template"))
    stock, generate = itertools.cycle(request.getfixturevalue("rsa_keys")), jose.generate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jose, "generate", lambda kind: next(stock) if kind == "RS256" else generate(kind))
        patch.setattr(devices, "MOST_OF_A_USER", devices.MOST_OF_A_USER)
        clock = Clock()
        app = create_app(test_settings(url, data_dir=directory), now=clock, ticks=clock.ticks)
        app.config["TESTING"] = True
        with app.app_context():
            yield World(app, clock)
            db.engine.dispose()


def test_nobody_gets_in_who_may_not_and_nothing_outlives_its_end(world: World) -> None:
    if GIVEN:  # a long run is no test that hangs
        faulthandler.cancel_dump_traceback_later()
    kind = type("Walk", (Machine,), {"world": world})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        kind,
        settings=settings(
            max_examples=EXAMPLES["sqlite" if db.engine.dialect.name == "sqlite" else "postgresql"],
            stateful_step_count=STEPS,
            derandomize=GIVEN is None,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink) if GIVEN else (Phase.generate,),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
