"""The language of request rules: what is let through to a pool (docs/request-rules.md).

A document is checked as a whole and compiled into functions, once for each revision of its pool. Rules are tried in the
order in which they are written, and the first that allows, denies or demands a proof of work ends it. Everything has a
bound, and nothing is a regular expression: what a rule costs does not depend on what a request makes of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from app import errors
from app.throttling.networks import network

MOST_RULES = 100
MOST_PREFIXES = 10_000
"""In all sets and conditions of a document."""
MOST_CONDITIONS = 50
"""Of one rule."""
MOST_VALUES = 100
"""Paths, methods or operations that one condition lists."""
DEEPEST = 5
"""Conditions inside conditions."""
LONGEST = 256
"""Characters of a path or of what a header is compared with."""
LARGEST = 256 * 1024
"""Bytes of a whole document, as JSON."""
MOST_REQUESTS = 1_000_000
LONGEST_WINDOW = 86_400
"""Seconds: a day."""
DIFFICULTIES = range(8, 25)
"""Leading zero bits of a hash. A phone finds 18 of them in about a second, and each one more takes twice as long."""
USUAL_DIFFICULTY = 18
LIFETIMES = range(60, 86_401)
"""Seconds for which a proof of work counts."""
USUAL_LIFETIME = 3600
IPV4_PREFIX, IPV6_PREFIX = 24, 48
"""Bits of the prefix of an address: what one operator hands to a few hundred neighbours."""

ALIASES = {"/authorize": "/oauth2/authorize", "/oauth2/authorize": "/authorize"}
"""Two paths of one endpoint: what is said of one holds for the other, or it would be the way round the rule. Pages that
have several paths have them in different letter case."""

ALLOW, COUNT, DENY, PROOF = "allow", "count", "deny", "proof-of-work"
ACTIONS = (ALLOW, COUNT, DENY, PROOF)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", re.ASCII)
_METHOD = re.compile(r"[A-Z]{1,16}", re.ASCII)
_OPERATION = re.compile(r"[A-Za-z]{1,64}", re.ASCII)

Path = tuple[str | int, ...]


class RuleError(errors.InvalidParameter):
    """A mistake in a document: where, and what was expected instead."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        super().__init__(f"{where}: {reason}" if where else reason)


# -- a request, and what rules make of it ----------------------------------------------------------------------

Hit = Callable[[str, int, int, str], int | None]
"""Counts a request: the name of the counter, how many in how many seconds it takes, and whose it is. None, or the
seconds to wait."""


@dataclass
class Facts:
    """What rules know of a request: nothing of who somebody is or says to be."""

    address: str
    method: str
    path: str
    """Inside the pool: `/login`, whichever way the pool is reached. `/` for operations of the API."""
    operation: str | None
    """Of the API."""
    header: Callable[[str], str | None]
    """A header's value, by its name in lower case."""
    wait: int | None = None
    """Seconds until a rate that was exceeded allows more."""
    _number: tuple[int, int] | None = None

    @property
    def number(self) -> tuple[int, int]:
        """The address as its version and a number; version 0 for what is no address."""
        if self._number is None:
            try:
                parsed = ipaddress.ip_address(self.address.partition("%")[0])
                self._number = parsed.version, int(parsed)
            except ValueError:
                self._number = 0, 0
        return self._number


Condition = Callable[[Facts, Hit], bool]


@dataclass(frozen=True)
class Rule:
    name: str
    action: str
    holds: Condition
    difficulty: int = USUAL_DIFFICULTY
    lifetime: int = USUAL_LIFETIME


@dataclass(frozen=True)
class Verdict:
    """What ended the rules."""

    action: str
    rule: Rule | None
    """None where no rule did, and the default of the document holds."""
    wait: int | None = None
    """Seconds after which the rate of the rule allows more."""


@dataclass(frozen=True)
class Rules:
    rules: tuple[Rule, ...]
    default: str

    def verdict(
        self, facts: Facts, hit: Hit, *, proven: Callable[[Rule], bool], counted: Callable[[Rule], None]
    ) -> Verdict:
        """What becomes of a request. A rule whose proof of work has been given lets the next one decide, as
        one does that only counts."""
        for rule in self.rules:
            facts.wait = None
            if not rule.holds(facts, hit):
                continue
            if rule.action == COUNT:
                counted(rule)
            elif rule.action != PROOF or not proven(rule):
                return Verdict(rule.action, rule, facts.wait)
        return Verdict(self.default, None)


@lru_cache(maxsize=4096)
def prefix(address: str) -> str:
    """The prefix of an address; empty for what is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    bits = IPV4_PREFIX if parsed.version == 4 else IPV6_PREFIX
    return str(ipaddress.ip_network((int(parsed) if parsed.version == 6 else str(parsed), bits), strict=False))


# -- compiling -------------------------------------------------------------------------------------------------


def compiled(document: Any, *, operations: Collection[str] | None = None) -> Rules:
    """The rules of a document. `operations`: the names that it may list; without, any. Raises RuleError."""
    return _Compiler(operations).rules(document)


@dataclass
class _Compiler:
    operations: Collection[str] | None
    sets: dict[str, _Prefixes] = field(default_factory=dict)
    prefixes: int = 0
    conditions: int = 0
    rates: int = 0

    def rules(self, document: Any) -> Rules:
        given = _members(document, (), required=("Rules",), optional=("Default", "AddressSets"))
        if len(orjson.dumps(document)) > LARGEST:
            raise RuleError((), f"the rules are larger than {LARGEST // 1024} KB")
        default = given.get("Default", ALLOW)
        _one_of(("Default",), default, (ALLOW, DENY))
        for name, listed in _mapping(("AddressSets",), given.get("AddressSets") or {}).items():
            if not _NAME.fullmatch(name) or _is_network(name):
                raise RuleError(("AddressSets", name), "a set's name is up to 64 letters, digits and ._-")
            self.sets[name] = self._prefixes(("AddressSets", name), listed, named=False)
        listed = given["Rules"]
        if not isinstance(listed, list):
            raise RuleError(("Rules",), "expected a list of rules")
        if len(listed) > MOST_RULES:
            raise RuleError(("Rules",), f"expected at most {MOST_RULES} rules; there are {len(listed)}")
        found: list[Rule] = []
        for place, one in enumerate(listed):
            found.append(self._rule(("Rules", place), one, {rule.name for rule in found}))
        return Rules(tuple(found), default)

    def _rule(self, path: Path, value: Any, taken: set[str]) -> Rule:
        given = _members(value, path, required=("Name", "Action"), optional=("When", "Difficulty", "Lifetime"))
        name = given["Name"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise RuleError((*path, "Name"), "expected up to 64 letters, digits and ._-")
        try:
            if name in taken:
                raise RuleError((*path, "Name"), "another rule has this name")
            _one_of((*path, "Action"), given["Action"], ACTIONS)
            if given["Action"] != PROOF:
                for member in ("Difficulty", "Lifetime"):
                    if member in given:
                        raise RuleError((*path, member), f"only a rule with the action {PROOF} has one")
            self.conditions = self.rates = 0
            holds = self._condition((*path, "When"), given["When"], 1, name)[0] if "When" in given else _always
            return Rule(
                name,
                given["Action"],
                holds,
                _whole((*path, "Difficulty"), given.get("Difficulty", USUAL_DIFFICULTY), DIFFICULTIES),
                _whole((*path, "Lifetime"), given.get("Lifetime", USUAL_LIFETIME), LIFETIMES),
            )
        except RuleError as wrong:
            raise RuleError(wrong.path, f'rule "{name}": {wrong.reason}') from None

    def _condition(self, path: Path, value: Any, depth: int, rule: str) -> tuple[Condition, bool]:
        """The condition, and whether it counts requests."""
        if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in CONDITIONS:
            raise RuleError(path, f"expected one of {', '.join(CONDITIONS)}; several go below All")
        self.conditions += 1
        if self.conditions > MOST_CONDITIONS:
            raise RuleError(path, f"expected at most {MOST_CONDITIONS} conditions in a rule")
        kind, given = next(iter(value.items()))
        path = (*path, kind)
        match kind:
            case "All" | "Any":
                return self._several(path, kind, given, depth, rule)
            case "Not":
                if depth >= DEEPEST:
                    raise RuleError(path, f"conditions are nested deeper than {DEEPEST}")
                inner, counting = self._condition(path, given, depth + 1, rule)
                return (lambda facts, hit: not inner(facts, hit)), counting
            case "Rate":
                return self._rate(path, given, rule), True
            case "Address":
                return _address(self._prefixes(path, given, named=True)), False
            case "Path":
                return _path(self._texts(path, given)), False
            case "Operation":
                return self._operation(path, given), False
            case "Method":
                wanted = frozenset(self._texts(path, given))
                for one in wanted:
                    if not _METHOD.fullmatch(one):
                        raise RuleError(path, f"expected methods such as GET and POST; {one!r} was given")
                return (lambda facts, hit: facts.method in wanted), False
            case _:
                return _header(path, given), False

    def _several(self, path: Path, kind: str, given: Any, depth: int, rule: str) -> tuple[Condition, bool]:
        if not isinstance(given, list) or not given:
            raise RuleError(path, "expected a list of conditions")
        if depth >= DEEPEST:
            raise RuleError(path, f"conditions are nested deeper than {DEEPEST}")
        inner = [self._condition((*path, place), one, depth + 1, rule) for place, one in enumerate(given)]
        # What counts comes last, so that a rate counts those requests only of which all the rest holds.
        inner.sort(key=lambda one: one[1])
        parts, counting = tuple(one[0] for one in inner), inner[-1][1]
        if kind == "All":
            return (lambda facts, hit: all(part(facts, hit) for part in parts)), counting
        return (lambda facts, hit: any(part(facts, hit) for part in parts)), counting

    def _rate(self, path: Path, value: Any, rule: str) -> Condition:
        given = _members(value, path, required=("Requests", "Seconds"), optional=("Per",))
        amount = _whole((*path, "Requests"), given["Requests"], range(1, MOST_REQUESTS + 1))
        seconds = _whole((*path, "Seconds"), given["Seconds"], range(1, LONGEST_WINDOW + 1))
        key = _per((*path, "Per"), given.get("Per", "address"))
        self.rates += 1
        counter = f"request rule {rule} {self.rates}"

        def exceeded(facts: Facts, hit: Hit) -> bool:
            wait = hit(counter, amount, seconds, key(facts))
            if wait is not None:
                facts.wait = wait
            return wait is not None

        return exceeded

    def _operation(self, path: Path, given: Any) -> Condition:
        wanted = frozenset(self._texts(path, given))
        for one in wanted:
            if not _OPERATION.fullmatch(one) or (self.operations is not None and one not in self.operations):
                raise RuleError(
                    path,
                    f"there is no operation {one!r} that rules are tried for; expected names such as SignUp and "
                    "InitiateAuth. Those that are signed with an access key are always let through",
                )
        return lambda facts, hit: facts.operation in wanted

    def _texts(self, path: Path, given: Any) -> list[str]:
        listed = [given] if isinstance(given, str) else given
        if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
            raise RuleError(path, "expected text, or a list of texts")
        if len(listed) > MOST_VALUES:
            raise RuleError(path, f"expected at most {MOST_VALUES} values")
        for place, one in enumerate(listed):
            if not 1 <= len(one) <= LONGEST:
                raise RuleError((*path, place), f"expected 1 to {LONGEST} characters")
        return listed

    def _prefixes(self, path: Path, given: Any, *, named: bool) -> _Prefixes:
        listed = [given] if isinstance(given, str) else given
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise RuleError(path, "expected addresses and prefixes such as 192.0.2.0/24")
        self.prefixes += len(listed)
        if self.prefixes > MOST_PREFIXES:
            raise RuleError(path, f"expected at most {MOST_PREFIXES} addresses and prefixes in all")
        found = _Prefixes()
        for place, one in enumerate(listed):
            if named and one in self.sets:
                found.join(self.sets[one])
                continue
            try:
                found.add(ipaddress.ip_network(one))
            except ValueError:
                among = f", or one of the sets {', '.join(self.sets) or '(there are none)'}" if named else ""
                raise RuleError(
                    (*path, place),
                    f"{one!r} is no address and no prefix such as 192.0.2.0/24 or 2001:db8::/32{among}; bits beyond "
                    "the length of a prefix must be 0",
                ) from None
        return found


class _Prefixes:
    """Addresses by the length of their prefix: each lookup takes as many steps as there are different lengths."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], set[int]] = {}

    def add(self, one: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
        shift = one.max_prefixlen - one.prefixlen
        self._kept.setdefault((one.version, shift), set()).add(int(one.network_address) >> shift)

    def join(self, other: _Prefixes) -> None:
        for key, numbers in other._kept.items():
            self._kept.setdefault(key, set()).update(numbers)

    def contain(self, version: int, number: int) -> bool:
        return any(of == version and number >> shift in found for (of, shift), found in self._kept.items())


def _always(facts: Facts, hit: Hit) -> bool:
    return True


def _address(prefixes: _Prefixes) -> Condition:
    return lambda facts, hit: prefixes.contain(*facts.number)


def _path(given: list[str]) -> Condition:
    """Exact paths, and those that begin like one which ends with `*`; letter case does not matter."""
    exact = frozenset(one.lower() for one in given if not one.endswith("*"))
    beginnings = tuple(one[:-1].lower() for one in given if one.endswith("*"))

    def listed(path: str) -> bool:
        return path in exact or path.startswith(beginnings)

    def holds(facts: Facts, hit: Hit) -> bool:
        path = facts.path.lower()
        return listed(path) or (path in ALIASES and listed(ALIASES[path]))

    return holds


def _header(path: Path, value: Any) -> Condition:
    given = _members(value, path, required=("Name",), optional=("Equals", "Contains", "Matches"))
    name = given.pop("Name")
    if not isinstance(name, str) or not _HEADER.fullmatch(name):
        raise RuleError((*path, "Name"), "expected the name of a header, such as User-Agent")
    if len(given) != 1:
        raise RuleError(path, "expected one of Equals, Contains, Matches")
    how, text = next(iter(given.items()))
    if not isinstance(text, str) or len(text) > LONGEST:
        raise RuleError((*path, how), f"expected text of at most {LONGEST} characters; put numbers in quotes")
    name, text = name.lower(), text.lower()
    test: dict[str, Callable[[str], bool]] = {
        "Equals": lambda value: value == text,
        "Contains": lambda value: text in value,
        "Matches": _glob(text),
    }
    compare = test[how]

    def holds(facts: Facts, hit: Hit) -> bool:
        found = facts.header(name)
        return found is not None and compare(found.lower())

    return holds


def _glob(pattern: str) -> Callable[[str], bool]:
    """`*` stands for any characters. Each part is looked for once, from where the one before ended: the time grows with
    the length of the value, and never with what it could be divided into."""
    first, *rest = pattern.split("*")
    if not rest:
        return lambda value: value == first
    *between, last = rest

    def matches(value: str) -> bool:
        end = len(value) - len(last)
        if not value.startswith(first) or not value.endswith(last):
            return False
        at = len(first)
        for part in between:
            found = value.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return at <= end

    return matches


def _per(path: Path, given: Any) -> Callable[[Facts], str]:
    """Whose requests a rate counts together."""
    match given:
        case "address":
            return lambda facts: network(facts.address) or ""
        case "prefix":
            return lambda facts: prefix(facts.address)
        case "pool":
            return lambda facts: ""
        case {"Header": str(name)} if len(given) == 1 and _HEADER.fullmatch(name):
            lower = name.lower()
            return lambda facts: facts.header(lower) or ""
    raise RuleError(path, "expected address, prefix, pool, or {Header: name of a header}")


CONDITIONS = ("Address", "Path", "Operation", "Method", "Header", "Rate", "All", "Any", "Not")


# -- what a document may say -----------------------------------------------------------------------------------


def _mapping(path: Path, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RuleError(path, "expected names and values below it")
    return value


def _members(value: Any, path: Path, *, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    """A mapping with these members. What is null counts as left out."""
    known = (*required, *optional)
    for name in _mapping(path, value):
        if name not in known:
            raise RuleError((*path, name), f"no such setting; expected {', '.join(known)}")
    found = {name: one for name, one in value.items() if one is not None}
    for name in required:
        if name not in found:
            raise RuleError(path, f"expected a member {name}")
    return found


def _one_of(path: Path, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RuleError(path, f"expected {', '.join(known[:-1])} or {known[-1]}; {value!r} was given")


def _whole(path: Path, value: Any, bounds: range) -> int:
    if type(value) is not int or value not in bounds:
        raise RuleError(path, f"expected a whole number from {bounds[0]} to {bounds[-1]}; {value!r} was given")
    return value


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
