"""The operations: what the published model says of them, and the function that this server has for each.

The only module that reads botocore. `@operation("SignUp")` above a function called `sign_up` is the whole
declaration; who may call, what is required, what is secret and which refusals are possible stands in the model.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import botocore
import orjson
from botocore import xform_name

from app.api import errors, shapes
from app.errors import Refusal

if TYPE_CHECKING:
    from app.api.caller import Call

Run = Callable[["Call"], dict[str, Any] | None]
Who = Literal["signed", "token", "client", "bearer"]

SERVICE = "cognito-idp"
TARGET = "AWSCognitoIdentityProviderService."

# Where the service accepts something else than its model says: the pattern it tells, and the one that is applied.
LIVE_PATTERNS = {
    "DomainType": (r"^[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?$", r"[a-z0-9](?:[a-z0-9.\-]*[a-z0-9])?"),
    # The same, without backtracking; and none, by which a user without a password is made. Where one is needed, the
    # policy refuses it.
    "PasswordType": (r"^[\S]+.*[\S]+$", r"(\S.*\S)?"),
}


# The same for values that it takes and its model lacks (reference: 3.2).
LIVE_VALUES = {"ExplicitAuthFlowsType": ("ALLOW_CLIENT_TOKEN_AUTH",)}
# Operations whose documentation says that the client's secret is the proof, and whose model forgot to (reference: 1.3).
BY_CLIENT = frozenset({"GetClientToken", "GetDerivedToken"})


def _published() -> dict[str, Any]:
    """The model, read as a file. botocore's own loader would bring its HTTP client into every worker: 0.2 seconds of
    the start and 17 MB, for reading a file; without the documentation the model takes 2 MB."""
    path = Path(botocore.__file__).parent / "data" / SERVICE / "2016-04-18" / "service-2.json.gz"
    model: dict[str, Any] = orjson.loads(gzip.decompress(path.read_bytes()))
    for described in (*model["operations"].values(), *model["shapes"].values()):
        described.pop("documentation", None)
        for member in described.get("members", {}).values():
            member.pop("documentation", None)
    return model


MODEL = _published()
NAMES: frozenset[str] = frozenset(MODEL["operations"])
OPERATIONS: dict[str, Operation] = {}


def unsigned() -> frozenset[str]:
    """The operations that need no access key: those that anybody can send, and that request rules are tried for."""
    return frozenset(name for name in NAMES if not _signed(name))


def _signed(name: str) -> bool:
    return MODEL["operations"][name].get("authtype") != "none" and name not in BY_CLIENT


@dataclass(frozen=True)
class Operation:
    name: str
    run: Run
    also: frozenset[str] = field(default=frozenset())
    """Refusals beyond those that the model lists."""

    @cached_property
    def input(self) -> shapes.Structure:
        """What it takes, compiled when it is first called."""
        return structure(self._model["input"]["shape"])

    @cached_property
    def who(self) -> Who:
        """Who may call: the holder of an access key, of an access token, a client, or whoever brings some other
        proof (a session, a device's key, a feedback token) that the operation itself looks at."""
        if _signed(self.name):
            return "signed"
        if "AccessToken" in self.input.members:
            return "token"
        return "client" if "ClientId" in self.input.members else "bearer"

    @cached_property
    def output(self) -> str | None:
        """Its reply's shape; None: the reply has no body."""
        given = self._model.get("output")
        return given["shape"] if given else None

    @cached_property
    def refusals(self) -> frozenset[str]:
        """Codes of the refusals it may give, framework's not included."""
        return frozenset(error["shape"].removesuffix("Exception") for error in self._model["errors"]) | self.also

    @property
    def _model(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = MODEL["operations"][self.name]
        return found


def operation(name: str, *, also: tuple[type[Refusal], ...] = ()) -> Callable[[Run], Run]:
    """Declare the function below as this operation. `also`: refusals that the service gives and its model forgot."""

    def declare(run: Run) -> Run:
        if name not in NAMES:
            raise LookupError(f"the model has no operation {name}")
        if name in OPERATIONS:
            raise LookupError(f"{name} is declared twice")
        if run.__name__ != xform_name(name):
            raise LookupError(f"{name} must be a function called {xform_name(name)}")
        OPERATIONS[name] = Operation(name, run, frozenset(one.code for one in also))
        return run

    return declare


@cache
def structure(name: str) -> shapes.Structure:
    """A structure of the model by its name."""
    found = _compiled(name, secret=False)
    if not isinstance(found, shapes.Structure):
        raise TypeError(f"{name} is no structure")
    return found


def _compiled(name: str, *, secret: bool) -> shapes.Shape:
    """A shape of the model. Inside a sensitive one everything is secret."""
    given = MODEL["shapes"][name]
    secret = secret or bool(given.get("sensitive"))
    shortest, longest = given.get("min"), given.get("max")
    match given["type"]:
        case "structure" if given.get("document"):
            return shapes.Document()
        case "structure":
            required = given.get("required", ())
            return shapes.Structure(
                {
                    member: shapes.Member(
                        shape=_compiled(of["shape"], secret=secret),
                        required=member in required,
                        path=shapes.lower_camel(member),
                        own=own_word(member),
                    )
                    for member, of in given["members"].items()
                }
            )
        case "list":
            inner = _compiled(given["member"]["shape"], secret=secret)
            return shapes.Sequence(inner, shortest or 0, longest, secret)
        case "map":
            key = _compiled(given["key"]["shape"], secret=secret)
            if not isinstance(key, shapes.String):
                raise TypeError(f"the keys of {name} are no strings")
            return shapes.Map(key, _compiled(given["value"]["shape"], secret=secret), shortest or 0, longest)
        case "string":
            told, applied = LIVE_PATTERNS.get(name, (given.get("pattern"), given.get("pattern")))
            matches = shapes.matcher(applied) if applied is not None else None
            values = (*given.get("enum", ()), *LIVE_VALUES.get(name, ()))
            return shapes.String(secret, shortest or 0, longest, told, matches, values)
        case "integer" | "long" as kind:
            return shapes.Number(secret, kind, shortest, longest)
        case "boolean":
            return shapes.Boolean(secret)
        case "timestamp":
            return shapes.Timestamp(secret)
        case "blob":
            return shapes.Blob(longest)
        case kind:
            raise TypeError(f"the model has a shape of kind {kind}: {name}")


def own_word(name: str) -> str:
    """`AllowedOAuthFlows` -> `allowed_oauth_flows`: what the rest of the house calls a member."""
    return str(xform_name(name)).replace("o_auth", "oauth")


class ContractBroken(AssertionError):
    """A reply or a refusal that the model does not allow: a bug of ours, looked for in tests only."""


def check_reply(of: Operation, reply: dict[str, Any] | None) -> None:
    """Raises ContractBroken where a reply is not of the operation's output shape."""
    if of.output is None:
        if reply:
            raise ContractBroken(f"{of.name} replies {reply}, and its output has no shape")
        return
    # Only tests come here; the server starts without the rest of botocore.
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(reply or {}, ServiceModel(MODEL, SERVICE).shape_for(of.output))
    if report.has_errors():
        raise ContractBroken(f"{of.name} replies {reply}: {report.generate_report()}")


def check_refusal(of: Operation, refusal: Refusal) -> None:
    """Raises ContractBroken where an operation gives a refusal that it does not list."""
    if refusal.code not in of.refusals | errors.FRAMEWORK:
        raise ContractBroken(f"{of.name} refuses with {refusal.code}, which the model does not list") from refusal
