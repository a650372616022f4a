"""The language of request rules: what its conditions mean, in which order rules decide, and what is no rule."""

from __future__ import annotations

from typing import Any

import pytest

from app.policy import request_rules
from app.policy.request_rules import Facts, Rule, RuleError, compiled, prefix


def facts(address: str = "192.0.2.7", path: str = "/login", **more: Any) -> Facts:
    headers = {name.lower(): value for name, value in more.pop("headers", {}).items()}
    return Facts(address, more.get("method", "GET"), path, more.get("operation"), headers.get)


class Counter:
    """Counts what it is asked to count, in one window that does not end."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}

    def __call__(self, name: str, amount: int, seconds: int, whose: str) -> int | None:
        self.counts[name, whose] = self.counts.get((name, whose), 0) + 1
        return None if self.counts[name, whose] <= amount else seconds


def holds(condition: dict[str, Any], given: Facts, hit: Any = None) -> bool:
    rules = compiled({"Rules": [{"Name": "only", "Action": "deny", "When": condition}]})
    return verdict(rules, given, hit)[0] == "deny"


def verdict(rules: request_rules.Rules, given: Facts, hit: Any = None, proven: bool = False) -> tuple[Any, ...]:
    """The action, the rule, and the rules that only counted."""
    counted: list[str] = []
    found = rules.verdict(
        given,
        hit or Counter(),
        proven=lambda rule: proven,
        counted=lambda rule: counted.append(rule.name),
    )
    return found.action, found.rule.name if found.rule else None, counted


@pytest.mark.parametrize(
    ("condition", "given", "expected"),
    [
        ({"Address": "192.0.2.7"}, facts(), True),
        ({"Address": "192.0.2.0/28"}, facts(), True),
        ({"Address": ["192.0.2.0/30", "198.51.100.0/24"]}, facts(), False),
        ({"Address": "0.0.0.0/0"}, facts(), True),
        ({"Address": "0.0.0.0/0"}, facts("2001:db8::1"), False),
        ({"Address": "2001:db8::/32"}, facts("2001:db8:1::1"), True),
        ({"Address": "2001:db8::/32"}, facts("2001:db9::1"), False),
        ({"Address": "fe80::/10"}, facts("fe80::1%eth0"), True),
        # A number of one version must not be taken for one of the other.
        ({"Address": "::c000:207"}, facts("192.0.2.7"), False),
        ({"Address": ["0.0.0.0/0", "::/0"]}, facts(""), False),
        ({"Address": ["0.0.0.0/0", "::/0"]}, facts("unix:"), False),
        ({"Path": "/login"}, facts(path="/login"), True),
        ({"Path": "/login"}, facts(path="/login/"), False),
        ({"Path": ["/signup", "/oauth2/*"]}, facts(path="/oauth2/token"), True),
        ({"Path": "/oauth2/*"}, facts(path="/oauth2"), False),
        ({"Path": "/oauth2/authorize"}, facts(path="/authorize"), True),
        ({"Path": "/oauth2/*"}, facts(path="/authorize"), True),
        ({"Path": "/authorize"}, facts(path="/oauth2/authorize"), True),
        ({"Path": "/authorize"}, facts(path="/oauth2/token"), False),
        ({"Path": "/forgotPassword"}, facts(path="/forgotpassword"), True),
        ({"Path": "/confirmforgot*"}, facts(path="/confirmForgotPassword"), True),
        ({"Path": "*"}, facts(path="/anything"), True),
        ({"Operation": ["SignUp", "InitiateAuth"]}, facts(operation="SignUp"), True),
        ({"Operation": "SignUp"}, facts(operation="InitiateAuth"), False),
        ({"Operation": "SignUp"}, facts(path="/signup"), False),
        ({"Method": "POST"}, facts(method="POST"), True),
        ({"Method": ["POST", "PUT"]}, facts(), False),
        ({"Header": {"Name": "User-Agent", "Equals": "Curl"}}, facts(headers={"user-agent": "curl"}), True),
        ({"Header": {"Name": "User-Agent", "Equals": "curl*"}}, facts(headers={"user-agent": "curl"}), False),
        ({"Header": {"Name": "User-Agent", "Contains": "BOT"}}, facts(headers={"user-agent": "a robot"}), True),
        ({"Header": {"Name": "User-Agent", "Contains": "bot"}}, facts(), False),
        ({"Header": {"Name": "User-Agent", "Equals": ""}}, facts(headers={"user-agent": ""}), True),
        ({"Header": {"Name": "User-Agent", "Equals": ""}}, facts(), False),
        ({"Not": {"Header": {"Name": "User-Agent", "Matches": "*"}}}, facts(), True),
        ({"Not": {"Path": "/login"}}, facts(), False),
        ({"All": [{"Path": "/login"}, {"Method": "GET"}]}, facts(), True),
        ({"All": [{"Path": "/login"}, {"Method": "POST"}]}, facts(), False),
        ({"Any": [{"Path": "/signup"}, {"Method": "GET"}]}, facts(), True),
        ({"Any": [{"Path": "/signup"}, {"Method": "POST"}]}, facts(), False),
    ],
)
def test_a_condition(condition: dict[str, Any], given: Facts, expected: bool) -> None:
    assert holds(condition, given) is expected


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "axxbxxc", True),
        ("a*b*c", "acb", False),
        ("*b*b*", "b", False),
        ("mozilla/5.0 (*)*", "Mozilla/5.0 (X11) Gecko", True),
        ("python-requests/*", "python-requests/2.31", True),
        ("python-requests/*", "not python-requests/2.31", False),
        ("[a-z].*", "b", False),
        ("*end", "the end", True),
        ("*end", "the end of it", False),
    ],
)
def test_stars_stand_for_any_characters_and_nothing_else_does(pattern: str, value: str, expected: bool) -> None:
    assert holds({"Header": {"Name": "X", "Matches": pattern}}, facts(headers={"x": value})) is expected


def test_a_pattern_that_would_take_a_regular_expression_for_ever_takes_a_look_for_each_of_its_parts() -> None:
    """128 stars, and a value that fits all but the end: a backtracking matcher would not come back."""
    pattern = "*a" * 127 + "*b"
    assert not holds({"Header": {"Name": "X", "Matches": pattern}}, facts(headers={"x": "a" * 60_000}))


# -- rates -----------------------------------------------------------------------------------------------------


def test_a_rate_holds_once_it_is_exceeded_and_for_each_address_by_itself() -> None:
    hit, rate = Counter(), {"Rate": {"Requests": 2, "Seconds": 60}}
    seen = [holds(rate, facts(), hit) for _ in range(3)]
    assert seen == [False, False, True]
    assert not holds(rate, facts("198.51.100.1"), hit)


@pytest.mark.parametrize(
    ("per", "one", "same", "another"),
    [
        ("address", facts("2001:db8:0:1::1"), facts("2001:db8:0:ff::9"), facts("2001:db8:1::1")),
        ("prefix", facts("192.0.2.1"), facts("192.0.2.254"), facts("192.0.3.1")),
        ("prefix", facts("2001:db8:1::1"), facts("2001:db8:1:ffff::1"), facts("2001:db8:2::1")),
        ({"Header": "X-Key"}, facts(headers={"x-key": "a"}), facts("::1", headers={"x-key": "a"}), facts()),
    ],
)
def test_whose_requests_are_counted_together(per: Any, one: Facts, same: Facts, another: Facts) -> None:
    hit, rate = Counter(), {"Rate": {"Requests": 1, "Seconds": 60, "Per": per}}
    assert [holds(rate, given, hit) for given in (one, same, another)] == [False, True, False]


def test_a_whole_pool_has_one_counter() -> None:
    hit, rate = Counter(), {"Rate": {"Requests": 1, "Seconds": 60, "Per": "pool"}}
    assert [holds(rate, given, hit) for given in (facts("192.0.2.1"), facts("2001:db8::1"))] == [False, True]


@pytest.mark.parametrize("rate_first", [True, False])
def test_a_rate_counts_only_requests_of_which_the_rest_holds(rate_first: bool) -> None:
    hit = Counter()
    parts: list[dict[str, Any]] = [{"Path": "/signup"}, {"Rate": {"Requests": 1, "Seconds": 60}}]
    condition = {"All": parts[::-1] if rate_first else parts}
    for _ in range(5):
        assert not holds(condition, facts(path="/login"), hit)
    assert [holds(condition, facts(path="/signup"), hit) for _ in range(2)] == [False, True]


def test_each_rate_of_each_rule_has_a_counter_of_its_own() -> None:
    rate = {"Rate": {"Requests": 1, "Seconds": 60}}
    rules = compiled(
        {
            "Rules": [
                {"Name": "a", "Action": "count", "When": {"Any": [rate, rate]}},
                {"Name": "b", "Action": "deny", "When": rate},
            ]
        }
    )
    hit = Counter()
    verdict(rules, facts(), hit)
    assert set(hit.counts.values()) == {1} and len(hit.counts) == 3


# -- order -----------------------------------------------------------------------------------------------------


def a_rule(name: str, action: str, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Action": action, **more}


def test_the_first_rule_that_ends_it_wins_and_one_that_counts_goes_on() -> None:
    rules = compiled(
        {
            "Rules": [
                a_rule("seen", "count"),
                a_rule("office", "allow", When={"Address": "192.0.2.0/24"}),
                a_rule("rest", "deny", When={"Path": "/login"}),
                a_rule("never", "count"),
            ]
        }
    )
    assert verdict(rules, facts()) == ("allow", "office", ["seen"])
    assert verdict(rules, facts("198.51.100.1")) == ("deny", "rest", ["seen"])
    assert verdict(rules, facts("198.51.100.1", "/signup")) == ("allow", None, ["seen", "never"])


def test_the_default_decides_where_no_rule_did() -> None:
    rules = compiled({"Default": "deny", "Rules": [a_rule("office", "allow", When={"Address": "192.0.2.0/24"})]})
    assert verdict(rules, facts()) == ("allow", "office", [])
    assert verdict(rules, facts("198.51.100.1")) == ("deny", None, [])


def test_a_proof_that_was_given_lets_the_next_rule_decide() -> None:
    rules = compiled({"Rules": [a_rule("work", "proof-of-work"), a_rule("signup", "deny", When={"Path": "/signup"})]})
    assert verdict(rules, facts(path="/signup")) == ("proof-of-work", "work", [])
    assert verdict(rules, facts(path="/signup"), proven=True) == ("deny", "signup", [])
    assert verdict(rules, facts(), proven=True) == ("allow", None, [])


def test_the_wait_is_told_of_the_rate_that_was_exceeded() -> None:
    rate = {"Rate": {"Requests": 1, "Seconds": 60}}
    rules = compiled({"Rules": [a_rule("counting", "count", When=rate), a_rule("no", "deny", When={"Path": "/login"})]})
    hit = Counter()

    def waits(found: request_rules.Rules) -> list[int | None]:
        each = [found.verdict(facts(), hit, proven=lambda rule: False, counted=lambda rule: None) for _ in range(2)]
        return [one.wait for one in each]

    assert waits(rules) == [None, None]  # of the rule that ended it, not of one before
    assert waits(compiled({"Rules": [a_rule("often", "deny", When=rate)]})) == [None, 60]


def test_sets_are_named_in_conditions() -> None:
    document = {
        "AddressSets": {"office": ["192.0.2.0/24", "2001:db8::/32"], "none": []},
        "Rules": [a_rule("strangers", "deny", When={"Not": {"Address": ["office", "203.0.113.9"]}})],
    }
    rules = compiled(document)
    answers = [verdict(rules, facts(ip))[0] for ip in ("192.0.2.1", "2001:db8::5", "203.0.113.9", "203.0.113.10")]
    assert answers == ["allow", "allow", "allow", "deny"]


def test_a_rule_without_condition_is_for_all() -> None:
    rules = compiled({"Rules": [a_rule("all", "proof-of-work", Difficulty=20, Lifetime=600)]})
    rule: Rule = rules.rules[0]
    assert verdict(rules, facts())[0] == "proof-of-work" and (rule.difficulty, rule.lifetime) == (20, 600)


@pytest.mark.parametrize(("ip", "expected"), [("192.0.2.7", "192.0.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48")])
def test_a_prefix(ip: str, expected: str) -> None:
    assert prefix(ip) == expected


# -- mistakes --------------------------------------------------------------------------------------------------

RATE = {"Requests": 5, "Seconds": 60}


def when(condition: Any) -> dict[str, Any]:
    return {"Rules": [{"Name": "mine", "Action": "deny", "When": condition}]}


def nested(depth: int) -> dict[str, Any]:
    return {"Path": "/"} if depth == 1 else {"Not": nested(depth - 1)}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "expected names and values below it"),
        ({}, "expected a member Rules"),
        ({"Rules": {}}, "Rules: expected a list of rules"),
        ({"Rules": [], "Rulez": []}, "Rulez: no such setting; expected Rules, Default, AddressSets"),
        ({"Rules": [], "Default": "count"}, "Default: expected allow or deny; 'count' was given"),
        ({"Rules": [], "AddressSets": {"a b": []}}, "AddressSets.a b: a set's name"),
        ({"Rules": [], "AddressSets": {"127.0.0.1": []}}, "AddressSets.127.0.0.1: a set's name"),
        ({"Rules": [], "AddressSets": {"a": ["b"]}}, "AddressSets.a[0]: 'b' is no address"),
        ({"Rules": [{"Action": "deny"}]}, "Rules[0]: expected a member Name"),
        ({"Rules": [{"Name": "a\nb", "Action": "deny"}]}, "Rules[0].Name: expected up to 64 letters"),
        ({"Rules": [{"Name": "a", "Action": "block"}]}, 'Rules[0].Action: rule "a": expected allow, count, deny or'),
        ({"Rules": [a_rule("a", "deny"), a_rule("a", "deny")]}, 'Rules[1].Name: rule "a": another rule has this name'),
        ({"Rules": [a_rule("a", "deny", Difficulty=10)]}, 'Rules[0].Difficulty: rule "a": only a rule with the action'),
        (
            {"Rules": [a_rule("a", "proof-of-work", Difficulty=40)]},
            "expected a whole number from 8 to 24; 40 was given",
        ),
        ({"Rules": [a_rule("a", "proof-of-work", Lifetime=True)]}, "expected a whole number from 60 to 86400; True"),
        (when("/login"), 'Rules[0].When: rule "mine": expected one of Address, Path'),
        (when({"Path": "/a", "Method": "GET"}), "several go below All"),
        (when({"Country": "DE"}), "expected one of Address, Path"),
        (when({"All": []}), 'Rules[0].When.All: rule "mine": expected a list of conditions'),
        (when({"All": [{"Path": "/"}, {"Path": 5}]}), 'Rules[0].When.All[1].Path: rule "mine": expected text'),
        (when(nested(6)), "conditions are nested deeper than 5"),
        (when({"Any": [{"Path": "/"}] * 50}), "expected at most 50 conditions in a rule"),
        (when({"Address": "192.0.2.1/24"}), "bits beyond the length of a prefix must be 0"),
        (when({"Address": ["offices"]}), "'offices' is no address and no prefix such as 192.0.2.0/24"),
        (when({"Address": [1]}), "expected addresses and prefixes"),
        (when({"Path": []}), "expected text, or a list of texts"),
        (when({"Path": ["/"] * 101}), "expected at most 100 values"),
        (when({"Path": "/" * 257}), "expected 1 to 256 characters"),
        (when({"Method": "get"}), "expected methods such as GET and POST; 'get' was given"),
        (when({"Operation": "AdminGetUser"}), "there is no operation 'AdminGetUser' that rules are tried for"),
        (when({"Operation": "signUp"}), "there is no operation 'signUp'"),
        (when({"Header": {"Equals": "x"}}), 'Rules[0].When.Header: rule "mine": expected a member Name'),
        (when({"Header": {"Name": "X\r\nY", "Equals": "x"}}), "expected the name of a header"),
        (when({"Header": {"Name": "X"}}), "expected one of Equals, Contains, Matches"),
        (when({"Header": {"Name": "X", "Equals": "a", "Contains": "a"}}), "expected one of Equals, Contains, Matches"),
        (when({"Header": {"Name": "X", "Equals": 5}}), "put numbers in quotes"),
        (when({"Header": {"Name": "X", "Regex": ".*"}}), 'Header.Regex: rule "mine": no such setting'),
        (when({"Rate": {"Requests": 5}}), "expected a member Seconds"),
        (when({"Rate": {**RATE, "Requests": 0}}), 'Rate.Requests: rule "mine": expected a whole number from 1 to'),
        (when({"Rate": {**RATE, "Seconds": "60"}}), 'Rate.Seconds: rule "mine": expected a whole number from 1 to'),
        (when({"Rate": {**RATE, "Per": "user"}}), "expected address, prefix, pool, or {Header: name of a header}"),
        ({"Rules": [a_rule(f"r{n}", "deny") for n in range(101)]}, "expected at most 100 rules; there are 101"),
        ({"Rules": [], "AddressSets": {"a": ["192.0.2.1"] * 10_001}}, "expected at most 10000 addresses"),
        (
            {"Rules": [a_rule(f"r{n}", "deny", When={"Path": ["x" * 250] * 99}) for n in range(20)]},
            "larger than 256 KB",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_rule(document: Any, told: str) -> None:
    with pytest.raises(RuleError) as refused:
        compiled(document, operations={"SignUp", "InitiateAuth"})
    assert told in refused.value.message
