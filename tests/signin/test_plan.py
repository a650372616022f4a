"""What is asked next, as a table: pool, factors, device, status and flow; and what holds for every line of it.

The lines are the order of the reference (10.2, 5.7, 5.5, 5.3). After them, every combination of all values is walked to
its end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from app.accounts.factors import EMAIL, PASSKEY, SMS, TOTP, Second
from app.signin import plan
from app.signin.plan import Situation, next_challenge
from app.tokens.assurance import TRUSTED_DEVICE, level

FACTORS = (SMS, TOTP, EMAIL, PASSKEY)
SET_UP = "MFA_SETUP"
SELECT = "SELECT_MFA_TYPE"
NEW = "NEW_PASSWORD_REQUIRED"
DEVICE, DEVICE_PROOF = "DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER"

BEGUN = {
    "USER_PASSWORD_AUTH": ("PASSWORD",),
    "ADMIN_USER_PASSWORD_AUTH": ("PASSWORD",),
    "HOSTED_PAGES": ("PASSWORD",),
    "USER_SRP_AUTH": ("PASSWORD_VERIFIER",),
    "USER_AUTH with a password": ("PASSWORD",),
    "USER_AUTH with SRP": ("PASSWORD_VERIFIER",),
    "USER_AUTH with a code to an address": ("EMAIL_OTP",),
    "USER_AUTH with a code to a telephone": ("SMS_OTP",),
    "USER_AUTH with a passkey": ("WEB_AUTHN",),
    "CUSTOM_AUTH": ("CUSTOM_CHALLENGE",),
    "CUSTOM_AUTH after SRP": ("PASSWORD_VERIFIER", "CUSTOM_CHALLENGE"),
}
"""What has been met when the first factor has, by flow."""
PASSWORDLESS = {flow for flow, proven in BEGUN.items() if not {"PASSWORD", "PASSWORD_VERIFIER"} & set(proven)}


def has(*usable: str, preferred: str | None = None, dormant: tuple[str, ...] = ()) -> Second:
    return Second(usable, preferred, (TOTP,), dormant)


@dataclass(frozen=True)
class Row:
    """One line: who signs in where, what he has met beyond the first factor, and what is asked then."""

    id: str
    then: str | None
    mfa: str = "OFF"
    second: Second = has()
    device: str | None = None
    status: str = "CONFIRMED"
    flow: str = "USER_PASSWORD_AUTH"
    met: tuple[str, ...] = ()
    chosen: str | None = None
    target: int = 1


ROWS = [
    # -- a pool without second factors
    Row("a password is enough where the pool asks for no second factor", None),
    Row("so is SRP", None, flow="USER_SRP_AUTH"),
    Row("an administrator's server needs no more", None, flow="ADMIN_USER_PASSWORD_AUTH"),
    Row("nor do the pages", None, flow="HOSTED_PAGES"),
    Row("a factor from the time before MFA was switched off is not asked for", None, second=has(TOTP)),
    Row("a temporary password is followed by a new one", NEW, status="FORCE_CHANGE_PASSWORD"),
    Row("and that completes the sign-in", None, status="FORCE_CHANGE_PASSWORD", met=(NEW,)),
    # -- optional
    Row("whoever has switched nothing on is asked for nothing", None, mfa="OPTIONAL"),
    Row("an app that he switched on is asked for", TOTP, mfa="OPTIONAL", second=has(TOTP)),
    Row("a telephone that he switched on is sent a code", SMS, mfa="OPTIONAL", second=has(SMS)),
    Row("an address that he switched on is sent a code", EMAIL, mfa="OPTIONAL", second=has(EMAIL)),
    Row("after SRP as after a password", TOTP, mfa="OPTIONAL", second=has(TOTP), flow="USER_SRP_AUTH"),
    Row("on the pages too", TOTP, mfa="OPTIONAL", second=has(TOTP), flow="HOSTED_PAGES"),
    Row("for administrators too", TOTP, mfa="OPTIONAL", second=has(TOTP), flow="ADMIN_USER_PASSWORD_AUTH"),
    Row("of two the user chooses", SELECT, mfa="OPTIONAL", second=has(SMS, TOTP)),
    Row("of three as well", SELECT, mfa="OPTIONAL", second=has(SMS, TOTP, EMAIL)),
    Row("what he chose is asked", SMS, mfa="OPTIONAL", second=has(SMS, TOTP), met=(SELECT,), chosen=SMS),
    Row("the one that he prefers is asked", TOTP, mfa="OPTIONAL", second=has(SMS, TOTP, preferred=TOTP)),
    Row("and met, completes the sign-in", None, mfa="OPTIONAL", second=has(SMS, TOTP), met=(SELECT, SMS), chosen=SMS),
    Row("a recovery code stands in for it", None, mfa="OPTIONAL", second=has(TOTP), met=("RECOVERY_CODE",)),
    # -- required
    Row("whoever has none sets one up", SET_UP, mfa="ON"),
    Row("on the pages too, where one is required", SET_UP, mfa="ON", flow="HOSTED_PAGES"),
    Row("and so after SRP", SET_UP, mfa="ON", flow="USER_SRP_AUTH"),
    Row("the one that he has is asked for", TOTP, mfa="ON", second=has(TOTP)),
    Row("of two that he has he chooses", SELECT, mfa="ON", second=has(SMS, EMAIL)),
    Row("or is asked for the preferred one", EMAIL, mfa="ON", second=has(SMS, EMAIL, preferred=EMAIL)),
    Row("an address that was just set up is proven", EMAIL, mfa="ON", met=(SET_UP,), chosen=EMAIL),
    Row("an app that was just set up has been", None, mfa="ON", met=(SET_UP, TOTP), chosen=TOTP),
    Row("a set-up alone is no second factor", SET_UP, mfa="ON", met=(SET_UP,)),
    # -- a new password comes first
    Row("a new password comes before the second factor", NEW, "ON", has(TOTP), status="FORCE_CHANGE_PASSWORD"),
    Row("before its set-up", NEW, "ON", status="FORCE_CHANGE_PASSWORD"),
    Row("and before the device", NEW, "ON", has(TOTP), "trusted", "FORCE_CHANGE_PASSWORD"),
    Row("then the second factor is asked for", TOTP, "ON", has(TOTP), status="FORCE_CHANGE_PASSWORD", met=(NEW,)),
    Row("then it is set up", SET_UP, "ON", status="FORCE_CHANGE_PASSWORD", met=(NEW,)),
    # -- devices
    Row("a device proves itself where no second factor is asked", DEVICE, device="known"),
    Row("in two steps", DEVICE_PROOF, device="known", met=(DEVICE,)),
    Row("after which it is done", None, device="known", met=(DEVICE, DEVICE_PROOF)),
    Row("a device that is merely known does not spare the second factor", TOTP, "ON", has(TOTP), "known"),
    Row("and proves itself after it", DEVICE, "ON", has(TOTP), "known", met=(TOTP,)),
    Row("and that is all", None, "ON", has(TOTP), "known", met=(TOTP, DEVICE, DEVICE_PROOF)),
    Row("a trusted device is asked instead of the second factor", DEVICE, "ON", has(TOTP), "trusted"),
    Row("its first step alone is no proof", DEVICE_PROOF, "ON", has(TOTP), "trusted", met=(DEVICE,)),
    Row("its second one is", None, "ON", has(TOTP), "trusted", met=(DEVICE, DEVICE_PROOF)),
    Row("it spares the choice as well", DEVICE, "OPTIONAL", has(SMS, TOTP), "trusted"),
    Row("and the set-up", DEVICE, "ON", has(), "trusted"),
    Row("after SRP as after a password, the device", DEVICE, "ON", has(TOTP), "trusted", flow="USER_SRP_AUTH"),
    Row("trust that ends meanwhile leaves the device to finish", DEVICE_PROOF, "ON", has(TOTP), "known", met=(DEVICE,)),
    Row("and the second factor is asked", TOTP, "ON", has(TOTP), "known", met=(DEVICE, DEVICE_PROOF)),
    Row("a device that is forgotten meanwhile too", TOTP, "ON", has(TOTP), met=(DEVICE, DEVICE_PROOF)),
    # -- first factors without a password
    Row("a code to an address is all", None, "OPTIONAL", has(TOTP), flow="USER_AUTH with a code to an address"),
    Row("a code to a telephone is all", None, "OPTIONAL", has(TOTP), flow="USER_AUTH with a code to a telephone"),
    Row("a passkey is all", None, "ON", has(TOTP), flow="USER_AUTH with a passkey"),
    Row("but a password is not, in the flow with a choice", TOTP, "ON", has(TOTP), flow="USER_AUTH with a password"),
    Row("nor is SRP, in the flow with a choice", TOTP, "ON", has(TOTP), flow="USER_AUTH with SRP"),
    Row("whoever came by a code shows his device", DEVICE, device="known", flow="USER_AUTH with a code to an address"),
    # -- the customer's own challenges
    Row("the customer's challenges are all", None, "ON", has(TOTP), flow="CUSTOM_AUTH"),
    Row("unless a password came before", TOTP, "ON", has(TOTP), flow="CUSTOM_AUTH after SRP"),
    Row(
        "a temporary password is changed after them", NEW, status="FORCE_CHANGE_PASSWORD", flow="CUSTOM_AUTH after SRP"
    ),
    # -- a level that is aimed at
    Row("an app that he has not switched on is asked for", TOTP, "OPTIONAL", has(dormant=(TOTP,)), target=4),
    Row("and met, reaches it", None, "OPTIONAL", has(dormant=(TOTP,)), met=(TOTP,), target=4),
    Row("not where a password is enough", None, "OPTIONAL", has(dormant=(TOTP,))),
    Row("nor where the pool has no second factors", None, "OFF", has(dormant=(TOTP,)), target=4),
    Row("of several that would do he chooses", SELECT, "OPTIONAL", has(dormant=(SMS, TOTP)), target=3),
    Row("and is asked for that", SMS, "OPTIONAL", has(dormant=(SMS, TOTP)), met=(SELECT,), chosen=SMS, target=3),
    Row("one that would not do is no choice", TOTP, "OPTIONAL", has(dormant=(SMS, TOTP, EMAIL)), target=4),
    Row("one that he switched on comes before", TOTP, "OPTIONAL", has(TOTP, dormant=(SMS,)), target=3),
    Row("if it does", TOTP, "OPTIONAL", has(SMS, dormant=(TOTP,)), target=4),
    Row("even over the one he prefers", TOTP, "ON", has(SMS, TOTP, preferred=SMS), target=4),
    Row("which is asked for where it does", SMS, "ON", has(SMS, TOTP, preferred=SMS), target=3),
    Row("one before that was too weak is followed by another", TOTP, "ON", has(SMS, TOTP), met=(SMS,), target=4),
    Row("what nobody can reach is not insisted on", SMS, "OPTIONAL", has(SMS), target=4),
    Row("and so ends lower", None, "OPTIONAL", has(SMS), met=(SMS,), target=4),
    Row("a recovery code ends lower too", None, "ON", has(TOTP), met=("RECOVERY_CODE",), target=4),
    Row("where it is required, one is set up", SET_UP, "ON", target=4),
    Row("a trusted device does where it reaches the level", DEVICE, "ON", has(TOTP), "trusted", target=3),
    Row("else the factor comes first", TOTP, "ON", has(TOTP), "trusted", target=4),
    Row("and then the device", DEVICE, "ON", has(TOTP), "trusted", met=(TOTP,), target=4),
    Row("a new password comes before that too", NEW, "ON", has(TOTP), status="FORCE_CHANGE_PASSWORD", target=4),
    Row("a code in place of the password is all", None, "ON", has(TOTP), flow="USER_AUTH with a passkey", target=4),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_what_is_asked_next(row: Row) -> None:
    situation = Situation(
        row.status,
        (*BEGUN[row.flow], *row.met),
        mfa=row.mfa,
        second=row.second,
        chosen=row.chosen,
        device=row.device,
        target=row.target,
    )
    assert next_challenge(situation) == row.then


@pytest.mark.parametrize("choice", plan.CHOICES)
@pytest.mark.parametrize("given", [{}, {"SRP_A": "2"}], ids=["alone", "with a public value"])
def test_a_choice_is_the_challenge_of_its_name_or_a_step_further(choice: str, given: dict[str, str]) -> None:
    further = choice == "PASSWORD_SRP" and bool(given)
    assert plan.chosen(choice, given) == ("PASSWORD_VERIFIER" if further else choice)


def test_every_line_of_the_table_says_something_else() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)


# -- what holds for every combination -------------------------------------------------------------------------


def some_of(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(len(names) + 1))


def beginnings() -> Iterator[tuple[str, Situation]]:
    """Every situation in which a first factor has just been met, with the flow in which it was."""
    values = itertools.product(
        BEGUN.items(),
        ("CONFIRMED", "FORCE_CHANGE_PASSWORD"),
        ("OFF", "OPTIONAL", "ON"),
        some_of(FACTORS),
        (None, "known", "trusted"),
    )
    for (flow, proven), status, mfa, usable, device in values:
        for preferred in (None, *usable):
            yield flow, Situation(status, proven, mfa, has(*usable, preferred=preferred), None, device)


def onward(now: Situation, asked: str) -> Iterator[Situation]:
    """All that can be when what was asked has been met: the choices of the user, and what others changed meanwhile."""
    met = replace(now, proven=(*now.proven, asked))
    match asked:
        case "NEW_PASSWORD_REQUIRED":
            yield met  # the row says so until the step is written down
            yield replace(met, status="CONFIRMED")
        case "SELECT_MFA_TYPE":
            for factor in plan.to_choose(now):
                yield replace(met, chosen=factor)
        case "MFA_SETUP":
            yield replace(met, chosen=EMAIL)
            yield replace(met, chosen=TOTP, proven=(*met.proven, TOTP))
        case "DEVICE_PASSWORD_VERIFIER" if now.device == "trusted":
            met = replace(now, proven=(*now.proven, TRUSTED_DEVICE, asked))
            yield met
            yield replace(met, device="known")
            yield replace(met, device=None)
        case _:
            yield met


@dataclass(frozen=True)
class Walk:
    """A whole sign-in: the situations in their order, and what was asked in each but the last."""

    flow: str
    situations: tuple[Situation, ...]
    asked: tuple[str, ...]

    @property
    def end(self) -> Situation:
        return self.situations[-1]


def walks(flow: str, situations: tuple[Situation, ...], asked: tuple[str, ...] = ()) -> Iterator[Walk]:
    following = next_challenge(situations[-1])
    if following is None:
        yield Walk(flow, situations, asked)
        return
    assert len(asked) < 8, f"asks without an end: {asked}"
    for situation in onward(situations[-1], following):
        yield from walks(flow, (*situations, situation), (*asked, following))


@pytest.fixture(scope="module")
def all_walks() -> list[Walk]:
    return [walk for flow, situation in beginnings() for walk in walks(flow, (situation,))]


def test_a_sign_in_ends_after_few_steps_and_asks_nothing_twice(all_walks: list[Walk]) -> None:
    assert len(all_walks) > 5000
    for walk in all_walks:
        assert len(walk.asked) <= 5, walk
        assert len(set(walk.asked)) == len(walk.asked), walk


def test_a_new_password_is_asked_for_before_all_else(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        first = walk.situations[0]
        assert (NEW in walk.asked) == (first.status == "FORCE_CHANGE_PASSWORD"), walk
        assert NEW not in walk.asked[1:], walk


def test_where_one_is_required_nobody_passes_by_a_password_alone(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        if walk.end.mfa == "ON" and walk.flow not in PASSWORDLESS:
            proven = set(walk.end.proven[1:])
            by_device = "DEVICE_PASSWORD_VERIFIER" in proven and walk.end.device == "trusted"
            assert proven & plan.SECOND or by_device, walk


def test_whoever_switched_one_on_does_not_either(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        if walk.end.mfa == "OPTIONAL" and walk.end.second.usable and walk.flow not in PASSWORDLESS:
            proven = set(walk.end.proven[1:])
            by_device = "DEVICE_PASSWORD_VERIFIER" in proven and walk.end.device == "trusted"
            assert proven & plan.SECOND or by_device, walk


def test_no_second_factor_follows_a_first_one_that_is_no_password(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        if walk.flow in PASSWORDLESS:
            assert not {*FACTORS, SELECT, SET_UP} & set(walk.asked), walk


def test_nothing_is_asked_of_anybody_where_the_pool_asks_for_no_second_factor(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        if walk.end.mfa == "OFF":
            assert not {*FACTORS, SELECT, SET_UP} & set(walk.asked), walk


def test_a_choice_is_between_several_and_never_offered_over_a_preference(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        if SELECT in walk.asked:
            assert len(walk.end.second.usable) > 1 and walk.end.second.preferred is None, walk


def test_only_a_factor_that_can_be_used_is_asked_for(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        for factor in set(FACTORS) & set(walk.asked):
            assert factor in walk.end.second.usable or SET_UP in walk.asked, walk


def test_one_is_set_up_only_where_it_is_required_and_there_is_none(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        if SET_UP in walk.asked:
            assert walk.end.mfa == "ON" and not walk.end.second.usable, walk


def test_a_device_proves_itself_whole_and_only_where_there_is_one(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        assert (DEVICE in walk.asked) == (walk.situations[0].device is not None), walk
        if DEVICE in walk.asked:
            assert walk.asked[walk.asked.index(DEVICE) + 1] == DEVICE_PROOF, walk


def test_a_trusted_device_that_stays_so_spares_the_second_factor(all_walks: list[Walk]) -> None:
    for walk in all_walks:
        if walk.end.device == "trusted":
            assert not {*FACTORS, SELECT, SET_UP} & set(walk.asked), walk


def test_every_flow_with_one_beginning_is_known_to_the_table() -> None:
    for flow, first in plan.FIRST.items():
        assert BEGUN[flow] == (first,), flow


# -- with a level to reach ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aiming_walks() -> list[Walk]:
    """The same, with every level and with factors that he has not switched on."""
    return [
        walk
        for flow, situation in beginnings()
        for dormant in ((), (TOTP,), (SMS, EMAIL))
        if not set(dormant) & set(situation.second.usable) and situation.status == "CONFIRMED"
        for target in (2, 3, 4)
        for walk in walks(flow, (replace(situation, target=target, second=replace(situation.second, dormant=dormant)),))
    ]


def test_a_level_asks_for_more_and_never_for_less(aiming_walks: list[Walk]) -> None:
    assert len(aiming_walks) > 5000
    for walk in aiming_walks:
        assert len(walk.asked) <= 5 and len(set(walk.asked)) == len(walk.asked), walk
        now = walk.end
        if walk.flow in PASSWORDLESS or not (now.mfa == "ON" or (now.mfa == "OPTIONAL" and now.second.usable)):
            continue
        proven = set(now.proven[1:])
        assert proven & plan.SECOND or ("DEVICE_PASSWORD_VERIFIER" in proven and now.device == "trusted"), walk


def test_it_is_reached_wherever_a_factor_reaches_it(aiming_walks: list[Walk]) -> None:
    for walk in aiming_walks:
        now = walk.end
        if walk.flow in PASSWORDLESS or now.mfa == "OFF" or SET_UP in walk.asked:
            continue
        there = any(level((*now.proven, one)) >= now.target for one in (*now.second.usable, *now.second.dormant))
        assert level(now.proven) >= now.target or not there, walk


def test_a_factor_that_is_off_is_asked_for_only_where_none_that_is_on_would_do(aiming_walks: list[Walk]) -> None:
    for walk in aiming_walks:
        first, now = walk.situations[0], walk.end
        if set(now.second.dormant) & set(walk.asked) and SET_UP not in walk.asked:
            assert not any(level((*first.proven, one)) >= now.target for one in now.second.usable), walk
