"""CUSTOM_AUTH: the customer's code decides what is asked, and cannot decide away what everybody is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app import errors
from app.accounts import administer
from app.env import Env, Origin
from app.models import Attempt, Client, LoginSession, Throttle, User
from app.signin import custom, flow, granting
from app.signin.state import Ask, Granted
from app.triggers import Functions
from app.triggers.events import (
    CreateAuthChallenge,
    Created,
    DefineAuthChallenge,
    Defined,
    Verified,
    VerifyAuthChallengeResponse,
)
from tests import remembering
from tests.build import PASSWORD, a_client, a_pool, a_user, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.signin.test_srp import Device

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
LAMBDAS = {name: ARN for name in ("define_auth_challenge", "create_auth_challenge", "verify_auth_challenge_response")}
SECRET = "piano"
WRONG = "Incorrect username or password."


@dataclass
class Customer:
    """The code of a customer who asks for the password if he is given a chance, then for a word, thrice."""

    tries: int = 3
    asked: list[Any] = field(default_factory=list)
    says: dict[type, Any] = field(default_factory=dict)
    """What it says instead, to whom it is asked."""

    def __call__(self, trigger: str, arn: str, question: object) -> object:
        return Functions(
            {
                "define_auth_challenge": self.define,
                "create_auth_challenge": self.create,
                "verify_auth_challenge_response": self.verify,
            }
        )(trigger, arn, question)

    def _instead(self, question: Any, usual: Any) -> Any:
        self.asked.append(question)
        said = self.says.get(type(question), usual)
        return said(question) if callable(said) else said

    def define(self, question: DefineAuthChallenge) -> Any:
        session = [(one.challenge, one.correct) for one in question.session]
        usual = Defined("CUSTOM_CHALLENGE")
        if session and session[-1] == ("CUSTOM_CHALLENGE", True):
            usual = Defined(issue_tokens=True)
        elif session and session[-1] == ("SRP_A", True):
            usual = Defined("PASSWORD_VERIFIER")
        elif ("PASSWORD_VERIFIER", False) in session or session.count(("CUSTOM_CHALLENGE", False)) >= self.tries:
            usual = Defined(fail=True)
        return self._instead(question, usual)

    def create(self, question: CreateAuthChallenge) -> Any:
        count = len(question.session)
        return self._instead(question, Created({"hint": "keys"}, {"answer": SECRET}, f"challenge {count}"))

    def verify(self, question: VerifyAuthChallengeResponse) -> Any:
        return self._instead(question, Verified(question.answer == question.private["answer"]))

    def questions(self, kind: type) -> list[Any]:
        return [one for one in self.asked if type(one) is kind]


@pytest.fixture
def customer() -> Customer:
    return Customer()


@pytest.fixture
def world(env: Env, customer: Customer) -> Env:
    """The environment in which his code can be asked."""
    return replace(env, triggers=customer)


@pytest.fixture
def client(env: Env) -> Client:
    return a_custom_client(env)


@pytest.fixture
def alice(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def a_custom_client(env: Env, **pool: Any) -> Client:
    made = a_pool(env, algorithm="ES256", lambda_config=LAMBDAS, **pool)
    return with_custom_auth(env, made)


def with_custom_auth(env: Env, pool: Any, hides: str = "ENABLED") -> Client:
    flows = ["ALLOW_CUSTOM_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    return a_client(env, pool, explicit_auth_flows=flows, prevent_user_existence_errors=hides)


def begin(env: Env, client: Client, name: str = "alice", origin: Origin | None = None, **given: str) -> Any:
    return flow.begin(env, client, flow="CUSTOM_AUTH", given={"USERNAME": name, **given}, origin=origin or Origin())


def answer(env: Env, client: Client, step: Ask, origin: Origin | None = None, **given: str) -> Any:
    return flow.answer(
        env, client, challenge=step.challenge, session=step.handle, given=given, origin=origin or Origin()
    )


def by_srp(env: Env, client: Client, password: str = PASSWORD, name: str = "alice") -> tuple[Ask, dict[str, str]]:
    """The first step with the password first, and the answer to it."""
    device = Device(client, name, password)
    step = begin(env, client, **{**device.first(), "USERNAME": name, "CHALLENGE_NAME": "SRP_A"})
    assert (step.challenge, bool(step.handle)) == ("PASSWORD_VERIFIER", True)
    return step, device.second(step.params, env.now())


def sessions(env: Env) -> int:
    with env.reading() as session:
        return session.scalar(select(func.count()).select_from(LoginSession)) or 0


# -- the loop --------------------------------------------------------------------------------------------------


def test_a_right_answer_signs_in(world: Env, client: Client, alice: User) -> None:
    step = begin(world, client, "alice@example.com")
    assert step.challenge == "CUSTOM_CHALLENGE"
    assert step.params == {"hint": "keys", "USERNAME": alice.sub if client.hides_users else "alice"}
    granted = answer(world, client, step, ANSWER=SECRET)
    assert isinstance(granted, Granted)
    assert granted.proven == ("CUSTOM_CHALLENGE",)
    assert granting.tokens(world, granted).refresh


def test_what_is_secret_goes_to_nobody_but_the_one_who_judges(world: Env, client: Client, alice: User) -> None:
    step = begin(world, client)
    assert SECRET not in str(step.params)
    with world.reading() as session:
        assert SECRET not in str(session.scalars(select(Attempt)).one().notes)


def test_the_customer_is_told_who_it_is_and_what_was_answered(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    step = begin(world, client)
    step = answer(world, client, step, ANSWER="a map")
    answer(world, client, step, ANSWER=SECRET)
    told = customer.questions(DefineAuthChallenge)
    assert [[(one.challenge, one.correct, one.metadata) for one in question.session] for question in told] == [
        [],
        [("CUSTOM_CHALLENGE", False, "challenge 0")],
        [("CUSTOM_CHALLENGE", False, "challenge 0"), ("CUSTOM_CHALLENGE", True, "challenge 1")],
    ]
    who = told[0].who
    assert (who.pool_id, who.client_id, who.username, who.found) == (client.pool_id, client.id, "alice", True)
    assert who.attributes["sub"] == alice.sub
    assert who.attributes["email_verified"] == "true"
    assert who.attributes["cognito:user_status"] == "CONFIRMED"
    assert [one.private for one in customer.questions(VerifyAuthChallengeResponse)] == [{"answer": SECRET}] * 2


def test_the_customer_says_when_it_is_enough(world: Env, client: Client, alice: User) -> None:
    step = begin(world, client)
    for _ in range(2):
        step = answer(world, client, step, ANSWER="a map")
    with pytest.raises(errors.NotAuthorized, match=WRONG):
        answer(world, client, step, ANSWER="a map")
    with pytest.raises(errors.SessionUsed):
        answer(world, client, step, ANSWER=SECRET)


def test_wrong_answers_are_for_the_customer_to_count(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    """Reference: 5.3. Applications poll by them, until a link in a mail has been opened."""
    customer.tries = 99
    step = begin(world, client)
    for _ in range(8):
        step = answer(world, client, step, ANSWER="not yet")
    assert isinstance(answer(world, client, step, ANSWER=SECRET), Granted)
    with world.reading() as session:
        assert session.scalar(select(func.count()).select_from(Throttle)) == 0


def test_metadata_comes_with_answers_only(world: Env, client: Client, alice: User, customer: Customer) -> None:
    """Reference: 5.8."""
    step = begin(world, client, origin=Origin(client_metadata={"at": "the beginning"}))
    step = answer(world, client, step, Origin(client_metadata={"at": "the first answer"}), ANSWER="a map")
    answer(world, client, step, ANSWER=SECRET)
    seen = [(type(one).__name__, one.client_metadata.get("at")) for one in customer.asked]
    assert seen == [
        ("DefineAuthChallenge", None),
        ("CreateAuthChallenge", None),
        ("VerifyAuthChallengeResponse", "the first answer"),
        ("DefineAuthChallenge", "the first answer"),
        ("CreateAuthChallenge", "the first answer"),
        ("VerifyAuthChallengeResponse", None),
        ("DefineAuthChallenge", None),
    ]


def test_tokens_may_be_given_for_nothing_if_the_customer_says_so(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    customer.says[DefineAuthChallenge] = Defined(issue_tokens=True)
    granted = begin(world, client)
    assert granted.proven == ()
    assert granting.tokens(world, granted).access


# -- the password first ----------------------------------------------------------------------------------------


def test_a_password_by_srp_and_then_a_challenge(world: Env, client: Client, alice: User, customer: Customer) -> None:
    step, proof = by_srp(world, client)
    step = answer(world, client, step, **proof)
    assert step.challenge == "CUSTOM_CHALLENGE"
    granted = answer(world, client, step, ANSWER=SECRET)
    assert granted.proven == ("PASSWORD_VERIFIER", "CUSTOM_CHALLENGE")
    last = customer.questions(DefineAuthChallenge)[-1].session
    assert [(one.challenge, one.correct) for one in last] == [
        ("SRP_A", True),
        ("PASSWORD_VERIFIER", True),
        ("CUSTOM_CHALLENGE", True),
    ]
    granting.tokens(world, granted)


def test_of_a_wrong_password_the_customer_is_told_and_decides(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    step, proof = by_srp(world, client, "wrong")
    with pytest.raises(errors.NotAuthorized, match=WRONG):
        answer(world, client, step, **proof)
    assert customer.questions(DefineAuthChallenge)[-1].session[-1].correct is False
    with pytest.raises(errors.SessionUsed):
        answer(world, client, step, **proof)
    customer.says[DefineAuthChallenge] = lambda question: Defined(
        "CUSTOM_CHALLENGE" if len(question.session) > 1 else "PASSWORD_VERIFIER"
    )
    step, proof = by_srp(world, client, "wrong")
    step = answer(world, client, step, **proof)
    assert step.challenge == "CUSTOM_CHALLENGE"
    customer.says[DefineAuthChallenge] = Defined(issue_tokens=True)
    granted = answer(world, client, step, ANSWER=SECRET)
    assert granted.proven == ("CUSTOM_CHALLENGE",)  # tokens must not say that a password was given


def test_wrong_passwords_lock_in_this_flow_as_in_any_other(world: Env, client: Client, alice: User) -> None:
    for _ in range(5):
        step, proof = by_srp(world, client, "wrong")
        with pytest.raises(errors.NotAuthorized, match=WRONG):
            answer(world, client, step, **proof)
    with pytest.raises(errors.LockedOut):
        begin(world, client)


def test_a_sign_in_that_waited_cannot_answer_by_password_once_a_lock_has_fallen(
    world: Env, client: Client, alice: User
) -> None:
    step, proof = by_srp(world, client)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized):
            flow.begin(
                world,
                client,
                flow="USER_PASSWORD_AUTH",
                given={"USERNAME": "alice", "PASSWORD": "wrong"},
                origin=Origin(),
            )
    with pytest.raises(errors.LockedOut):
        answer(world, client, step, **proof)


def test_an_answer_by_srp_needs_its_session_and_fits_no_other_flow(world: Env, client: Client, alice: User) -> None:
    step, proof = by_srp(world, client)
    with pytest.raises(errors.InvalidParameter, match="Missing required parameter Session"):
        answer(world, client, replace(step, handle=None), **proof)
    device = Device(client, "alice")
    plain = flow.begin(world, client, flow="USER_SRP_AUTH", given=device.first(), origin=Origin())
    assert isinstance(plain, Ask)
    with pytest.raises(errors.SessionInvalid):
        answer(world, client, step, **device.second(plain.params, world.now()))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"CHALLENGE_NAME": "PASSWORD_VERIFIER"}, "CHALLENGE_NAME must be SRP_A."),
        ({"CHALLENGE_NAME": "SRP_A"}, "Missing required parameter SRP_A"),
        ({"CHALLENGE_NAME": "SRP_A", "SRP_A": "0"}, "SRP_A is not a valid public value"),
        ({"USERNAME": ""}, "Missing required parameter USERNAME"),
    ],
)
def test_what_cannot_begin(world: Env, client: Client, alice: User, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        flow.begin(world, client, flow="CUSTOM_AUTH", given={"USERNAME": "alice", **given}, origin=Origin())
    assert refused.value.message == sentence


# -- what the customer cannot decide away ----------------------------------------------------------------------


def test_after_a_password_the_second_factor_is_asked_for_before_the_customer_is(world: Env, customer: Customer) -> None:
    pool = with_factors(world, a_pool(world, algorithm="ES256", lambda_config=LAMBDAS), "ON", "SOFTWARE_TOKEN_MFA")
    client = with_custom_auth(world, pool)
    secret = an_app(world, a_user(world, pool))
    step, proof = by_srp(world, client)
    step = answer(world, client, step, **proof)
    assert step.challenge == "SOFTWARE_TOKEN_MFA"
    with pytest.raises(errors.CodeMismatch):
        answer(world, client, step, SOFTWARE_TOKEN_MFA_CODE="000000")
    step = answer(world, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, world.now()))
    assert step.challenge == "CUSTOM_CHALLENGE"
    last = customer.questions(DefineAuthChallenge)[-1].session
    assert [one.challenge for one in last] == ["SRP_A", "PASSWORD_VERIFIER", "SOFTWARE_TOKEN_MFA"]
    granted = answer(world, client, step, ANSWER=SECRET)
    assert granted.proven == ("PASSWORD_VERIFIER", "SOFTWARE_TOKEN_MFA", "CUSTOM_CHALLENGE")


@pytest.mark.parametrize("first", ["the password", "the challenge"])
def test_a_temporary_password_is_replaced(world: Env, client: Client, first: str) -> None:
    administer.create(world, client.pool, username="alice", attributes={}, temporary_password=PASSWORD, silent=True)
    if first == "the password":
        step, proof = by_srp(world, client)
        step = answer(world, client, step, **proof)
        assert step.challenge == "NEW_PASSWORD_REQUIRED"
        step = answer(world, client, step, NEW_PASSWORD="Another-horse-8")
        granted = answer(world, client, step, ANSWER=SECRET)
    else:
        step = answer(world, client, begin(world, client), ANSWER=SECRET)
        assert step.challenge == "NEW_PASSWORD_REQUIRED"
        granted = answer(world, client, step, NEW_PASSWORD="Another-horse-8")
    granting.tokens(world, granted)
    with world.reading() as session:
        assert session.get_one(User, granted.user.sub).status == "CONFIRMED"


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"enabled": False}, errors.UserDisabled),
        ({"status": "UNCONFIRMED"}, errors.UserNotConfirmed),
        ({"status": "RESET_REQUIRED"}, errors.PasswordResetRequired),
    ],
)
def test_a_status_is_told_to_whoever_has_met_the_challenge(
    world: Env, client: Client, alice: User, values: dict[str, Any], refusal: type[errors.Refusal]
) -> None:
    with world.transaction():
        world.db.execute(update(User).where(User.sub == alice.sub).values(values))
    step = begin(world, client)
    step = answer(world, client, step, ANSWER="a map")
    with pytest.raises(refusal):
        answer(world, client, step, ANSWER=SECRET)
    assert sessions(world) == 0


def test_a_client_that_may_know_who_exists_is_told_at_once(world: Env, client: Client, alice: User) -> None:
    telling = with_custom_auth(world, client.pool, hides="LEGACY")
    with pytest.raises(errors.UserNotFound, match="User does not exist."):
        begin(world, telling, "nobody")
    with world.transaction():
        world.db.execute(update(User).where(User.sub == alice.sub).values(status="UNCONFIRMED"))
    with pytest.raises(errors.UserNotConfirmed):
        begin(world, telling)


# -- names that mean nobody ------------------------------------------------------------------------------------


def test_a_name_that_means_nobody_walks_the_same_steps(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    walks = []
    for name in ("alice", "nobody"):
        step = begin(world, client, name)
        seen: list[Any] = [(step.challenge, sorted(step.params), len(step.handle or ""), step.available)]
        for _ in range(2):
            step = answer(world, client, step, USERNAME=name, ANSWER="a map")
            seen.append((step.challenge, sorted(step.params), len(step.handle or ""), step.available))
        with pytest.raises(errors.NotAuthorized) as refused:
            answer(world, client, step, ANSWER="a map")
        walks.append((seen, refused.value.message))
    assert walks[0] == walks[1]
    who = customer.questions(DefineAuthChallenge)[-1].who
    assert (who.username, who.found, who.attributes) == ("nobody", False, {})


def test_by_srp_too(world: Env, client: Client, alice: User, customer: Customer) -> None:
    step, proof = by_srp(world, client, name="nobody@example.com")
    assert step.params["USERNAME"] == step.params["USER_ID_FOR_SRP"]
    with pytest.raises(errors.NotAuthorized) as refused:
        answer(world, client, step, **proof)
    assert (type(refused.value), refused.value.message) == (errors.NotAuthorized, WRONG)
    assert customer.questions(DefineAuthChallenge)[-1].session[-1].correct is False


def test_whatever_the_customer_says_nobody_gets_no_tokens(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    customer.says[DefineAuthChallenge] = Defined(issue_tokens=True)
    with pytest.raises(errors.NotAuthorized, match=WRONG):
        begin(world, client, "nobody")
    del customer.says[DefineAuthChallenge]
    customer.says[VerifyAuthChallengeResponse] = Verified(True)
    step = begin(world, client, "nobody")
    with pytest.raises(errors.NotAuthorized, match=WRONG):
        answer(world, client, step, ANSWER="anything")
    # That the answer was right is told to the customer as of anybody: what follows must not differ.
    assert customer.questions(DefineAuthChallenge)[-1].session[-1].correct is True
    assert sessions(world) == 0


# -- a customer who lies, or fails -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verdict",
    [Defined(), Defined("SMS_MFA"), Defined("SRP_A"), Defined("NEW_PASSWORD_REQUIRED"), Defined(""), None, "yes"],
)
def test_a_verdict_that_is_none(world: Env, client: Client, alice: User, customer: Customer, verdict: object) -> None:
    customer.says[DefineAuthChallenge] = verdict
    with pytest.raises(errors.InvalidLambdaResponse, match="Unrecognizable lambda output"):
        begin(world, client)


def test_a_no_goes_before_everything_that_is_said_with_it(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    customer.says[DefineAuthChallenge] = Defined("CUSTOM_CHALLENGE", issue_tokens=True, fail=True)
    with pytest.raises(errors.NotAuthorized, match=WRONG):
        begin(world, client)


def test_a_password_cannot_be_asked_for_without_its_public_value(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    customer.says[DefineAuthChallenge] = Defined("PASSWORD_VERIFIER")
    with pytest.raises(errors.InvalidParameter, match="Missing required parameter SRP_A"):
        begin(world, client)


def test_one_who_says_again_and_again_is_asked_once_per_answer_and_not_for_ever(
    world: Env, client: Client, alice: User, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom, "LONGEST", 10)
    customer.says[DefineAuthChallenge] = Defined("CUSTOM_CHALLENGE")
    step = begin(world, client)
    for n in range(9):
        assert len(customer.questions(DefineAuthChallenge)) == n + 1
        step = answer(world, client, step, ANSWER=SECRET)
    with pytest.raises(errors.NotAuthorized):
        answer(world, client, step, ANSWER=SECRET)


@pytest.mark.parametrize("missing", sorted(LAMBDAS))
def test_triggers_that_the_pool_does_not_have(world: Env, missing: str) -> None:
    rest = {name: arn for name, arn in LAMBDAS.items() if name != missing}
    client = with_custom_auth(world, a_pool(world, algorithm="ES256", lambda_config=rest))
    a_user(world, client.pool)
    with pytest.raises(errors.InvalidParameter, match="Custom auth lambda trigger is not configured"):
        answer(world, client, begin(world, client), ANSWER=SECRET)


def test_an_installation_that_cannot_reach_them_says_so(env: Env, client: Client, alice: User) -> None:
    with pytest.raises(errors.UnexpectedLambda, match="DefineAuthChallenge invocation failed due to error"):
        begin(env, client)


def test_a_failure_after_a_right_password_is_not_held_against_its_owner(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    def fails(question: DefineAuthChallenge) -> Defined:
        if len(question.session) > 1:
            raise ValueError("down for maintenance")
        return Defined("PASSWORD_VERIFIER")

    customer.says[DefineAuthChallenge] = fails
    for _ in range(7):
        step, proof = by_srp(world, client)
        with pytest.raises(errors.UserLambdaValidation, match="failed with error down for maintenance."):
            answer(world, client, step, **proof)
    del customer.says[DefineAuthChallenge]
    assert answer(world, client, step, **proof).challenge == "CUSTOM_CHALLENGE"  # nothing was used up


def test_an_answer_that_could_not_be_judged_has_used_its_session_up(
    world: Env, client: Client, alice: User, customer: Customer
) -> None:
    """It may have been a guess: nobody could say afterwards that it was not."""

    def fails(question: VerifyAuthChallengeResponse) -> Verified:
        raise ValueError("out of order")

    step = begin(world, client)
    customer.says[VerifyAuthChallengeResponse] = fails
    with pytest.raises(
        errors.UserLambdaValidation, match="VerifyAuthChallengeResponse failed with error out of order."
    ):
        answer(world, client, step, ANSWER=SECRET)
    del customer.says[VerifyAuthChallengeResponse]
    with pytest.raises(errors.SessionUsed):
        answer(world, client, step, ANSWER=SECRET)


# -- sessions --------------------------------------------------------------------------------------------------


def test_a_session_is_of_one_client_one_challenge_one_user_and_three_minutes(
    world: Env, client: Client, alice: User, clock: Clock
) -> None:
    a_user(world, client.pool, "bob", email=None)
    step = begin(world, client)
    with pytest.raises(errors.SessionInvalid):
        answer(world, with_custom_auth(world, client.pool), step, ANSWER=SECRET)
    with pytest.raises(errors.SessionInvalid):
        answer(world, client, replace(step, challenge="PASSWORD_VERIFIER"), **by_srp(world, client)[1])
    with pytest.raises(errors.SessionInvalid):
        answer(world, client, step, USERNAME="bob", ANSWER=SECRET)
    with pytest.raises(errors.InvalidParameter, match="Missing required parameter ANSWER"):
        answer(world, client, step)
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired):
        answer(world, client, step, ANSWER=SECRET)


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.com", ""])
def test_any_name_of_the_user_goes_with_his_session(world: Env, client: Client, alice: User, name: str) -> None:
    assert isinstance(answer(world, client, begin(world, client), USERNAME=name, ANSWER=SECRET), Granted)


def test_of_parallel_guesses_at_one_question_one_is_looked_at(
    app: Flask, world: Env, client: Client, alice: User, customer: Customer
) -> None:
    """Nobody counts these but the customer, so there must be nothing between two of them that he is not asked about."""
    step = begin(world, client)
    guesses: list[Callable[[], Any]] = [
        lambda n=n: answer(world, client, step, ANSWER=SECRET if n == 9 else f"guess {n}") for n in range(10)
    ]
    outcomes = in_parallel(app, *guesses)
    assert sum(isinstance(one, errors.SessionUsed) for one in outcomes) == 9
    assert len(customer.questions(VerifyAuthChallengeResponse)) == 1


def test_an_answer_cannot_be_repeated(world: Env, client: Client, alice: User) -> None:
    step = begin(world, client)
    granting.tokens(world, answer(world, client, step, ANSWER=SECRET))
    with pytest.raises(errors.SessionUsed):
        answer(world, client, step, ANSWER=SECRET)
    assert sessions(world) == 1


# -- devices ---------------------------------------------------------------------------------------------------


def test_a_device_that_was_forgotten_leaves_the_session_for_the_same_answer_without_it(world: Env) -> None:
    """Amplify names its device at the beginning and with the answer, and repeats the answer without it."""
    tracking = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
    client = a_custom_client(world, device_configuration=tracking)
    a_user(world, client.pool)
    key = "us-east-1_11111111-2222-3333-4444-555555555555"
    step = begin(world, client, DEVICE_KEY=key)
    with pytest.raises(errors.ResourceNotFound, match="^Device does not exist.$"):
        answer(world, client, step, ANSWER=SECRET, DEVICE_KEY=key)
    assert isinstance(answer(world, client, step, ANSWER=SECRET), Granted)


@pytest.mark.parametrize("password_first", [False, True])
def test_a_device_proves_itself_after_all_that_the_customer_asks(world: Env, password_first: bool) -> None:
    """SDKs expect tokens once it has. Its exchange is its own, and not the one of the password before it."""
    tracking = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
    client = a_custom_client(world, device_configuration=tracking)
    user = a_user(world, client.pool)

    def riddle(**given: str) -> Ask:
        if not password_first:
            return begin(world, client, **given)
        step, signed = by_srp(world, client)
        asked: Ask = answer(world, client, step, **signed, **given)
        return asked

    new = granting.tokens(world, answer(world, client, riddle(), ANSWER=SECRET)).new_device
    assert new is not None
    laptop = remembering.Device(new.key, new.group_key)
    remembering.confirm(world, client, user, laptop)
    step = riddle(DEVICE_KEY=laptop.key)
    assert step.challenge == "CUSTOM_CHALLENGE"
    step = answer(world, client, step, ANSWER=SECRET)
    assert step.challenge == "DEVICE_SRP_AUTH"
    step = answer(world, client, step, **laptop.first())
    granted = answer(world, client, step, **laptop.second(step.params, world.now()))
    assert granting.tokens(world, granted).new_device is None


def test_whoever_cannot_answer_learns_nothing_of_devices(world: Env) -> None:
    tracking = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
    client = a_custom_client(world, device_configuration=tracking)
    a_user(world, client.pool)
    step = begin(world, client, DEVICE_KEY="us-east-1_11111111-2222-3333-4444-555555555555")
    assert answer(world, client, step, ANSWER="a map").challenge == "CUSTOM_CHALLENGE"
