"""CSS of customers: what is documented passes; nothing else gets into a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import errors
from app.policy import css
from app.policy.css import Rule

TEMPLATE = """
/* of the documentation's kind */
.logo-customizable { max-width: 60%; max-height: 30%; }
.banner-customizable { padding: 25px 0px 25px 0px; background-color: lightgray; }
.submitButton-customizable:hover { color: #fff; background-color: rgba(40, 96, 144, 0.5) !important }
.errorMessage-customizable { border: 2px solid #D64958; box-sizing: border-box }
.inputField-customizable:focus { outline: 0; border-color: hsl(120deg 50% 50% / 0.2) }
.background-customizable{}
"""


def test_what_is_documented_passes() -> None:
    found = css.rules(TEMPLATE)
    assert [rule.selector for rule in found][:2] == ["logo-customizable", "banner-customizable"]
    assert found[0] == Rule("logo-customizable", (("max-width", "60%"), ("max-height", "30%")))
    assert found[2].declarations[1] == ("background-color", "rgba(40, 96, 144, 0.5) !important")
    assert css.rules("") == css.rules(" /* nothing */ ") == []


@pytest.mark.parametrize(
    ("selector", "name", "value"),
    [
        ("inputField-customizable", "border-radius", "0px"),
        ("socialButton-customizable", "border-radius", "2px"),
        ("socialButton-customizable", "padding", "0 10px"),
        ("submitButton-customizable", "text-align", "center"),
    ],
)
def test_what_the_service_s_own_template_sets_passes(selector: str, name: str, value: str) -> None:
    assert css.rules(f".{selector} {{ {name}: {value}; }}") == [Rule(selector, ((name, value),))]


@pytest.mark.parametrize(
    "sheet",
    [
        "@import 'https://evil.example/x.css';",
        ".label-customizable { font-weight: " + "1" * 5000 + " }",
        "@import url(//evil.example);",
        "@media screen { .label-customizable { font-weight: 1 } }",
        "@supports (color: red) {}",
        "@page { margin: 0 }",
        "@charset 'utf-7';",
        "@font-face { font-family: x }",
        ".background-customizable { background-color: url(https://evil.example) }",
        ".background-customizable { background-color: url('x') }",
        ".background-customizable { background-color: u/**/rl(x) }",
        ".errorMessage-customizable { background: image-set('x' 1x) }",
        ".errorMessage-customizable { background: 'x' }",
        ".errorMessage-customizable { width: expression(alert(1)) }",
        ".errorMessage-customizable { width: calc(1px + 1px) }",
        ".errorMessage-customizable { width: var(--x) }",
        ".errorMessage-customizable { color: rgb(url(x)) }",
        ".errorMessage-customizable { color: rgb(var(--x)) }",
        ".errorMessage-customizable { color: javascript:alert(1) }",
        ".errorMessage-customizable { background: red, red }",
        ".errorMessage-customizable { --x: red }",
        ".errorMessage-customizable { behavior: none }",
        ".errorMessage-customizable { position: fixed }",
        ".errorMessage-customizable { color: {} }",
        ".errorMessage-customizable { color }",
        ".errorMessage-customizable { &:hover { color: red } }",
        ".errorMessage-customizable { @media x { } }",
        ".errorMessage-customizable { color: r\\65 d }",
        ".errorMessage-customizable { color: red } </style><script>alert(1)</script>",
        ".errorMessage-customizable { /* </style> */ color: red }",
        "<!-- .errorMessage-customizable { color: red } -->",
        ".errorMessage-customizable { color: red",
        ".errorMessage-customizable { color: red } /*",
        ".errorMessage-customizable { color: red } }",
        ".errorMessage-customizable { color: rgb(1,2,3 }",
        ".errorMessage-customizable, .banner-customizable { color: red }",
        ".errorMessage-customizable .banner-customizable { color: red }",
        ".errorMessage-customizable.banner-customizable { color: red }",
        ".errorMessage-customizable::before { color: red }",
        ".errorMessage-customizable:hover { color: red }",
        ".errormessage-customizable { color: red }",
        ".end-of-sheet {}",
        ".end-of-sheet { color: red }",
        "#errorMessage-customizable { color: red }",
        "input[value^=a] { color: red }",
        "* { color: red }",
        "body { color: red }",
        ".\0errorMessage-customizable {}",
        "x",
    ],
)
def test_everything_else_is_refused(sheet: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="The CSS is not valid"):
        css.rules(sheet)


PIECES = [
    *".errorMessage-customizable { } : ; color max-width red 1px url( rgb( ) ' \" /* */ @import".split(),
    *"\\ < , / ! important # [ ] ( -- u+ e \n".split(" "),
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join) | st.lists(st.sampled_from(PIECES)).map("".join))
def test_whatever_passes_is_drawn_from_the_list_alone(sheet: str) -> None:
    try:
        found = css.rules(sheet)
    except errors.InvalidParameter:
        return
    for rule in found:
        for name, value in rule.declarations:
            assert name in css.PROPERTIES[rule.selector]
            assert not set(value) & set("{};:'\"\\<>@[]*")
            assert "url" not in value.lower()


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for sheet in (text, f".errorMessage-customizable {{ color: {text} }}"):
        try:
            css.rules(sheet)
        except errors.InvalidParameter:
            pass


def test_a_deep_nest_is_refused_and_not_a_fault() -> None:
    for opening in "([{":
        with pytest.raises(errors.InvalidParameter):
            css.rules(".errorMessage-customizable { color: " + opening * 60_000)
