"""The grammar of ListUsers' filter, and what comes after all that begins alike."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import errors
from app.policy.filters import Filter, parse, successor

ANYTHING = settings(deadline=None, derandomize=True, database=None, max_examples=200)
# Every code point that can be stored, with those before and after a gap more often than chance would have them.
CHARACTER = st.one_of(
    st.sampled_from(["\x01", "a", '"', "\\", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff"]),
    st.sampled_from(["\U00010000", "\U0010fffe", "\U0010ffff"]),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
)
TEXT = st.text(CHARACTER, max_size=12)
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='\0 \t\r\n=^"'), min_size=1, max_size=12)
BLANK = st.text(" \t\r\n", max_size=3)


@pytest.mark.parametrize(
    ("text", "attribute", "prefix", "value"),
    [
        ('email = "x"', "email", False, "x"),
        ('email ^= "x"', "email", True, "x"),
        ('email="x"', "email", False, "x"),
        ('email^="x"', "email", True, "x"),
        ('\t cognito:user_status \n=\r"CONFIRMED" ', "cognito:user_status", False, "CONFIRMED"),
        ('name = ""', "name", False, ""),
        ('name = "Reddy \\"R\\" O\'Neil"', "name", False, 'Reddy "R" O\'Neil'),
        ('name = "a = b ^= c"', "name", False, "a = b ^= c"),
        (r'name = "C:\\temp\x"', "name", False, r"C:\temp\x"),
        (r'name = "\\"', "name", False, "\\"),
        (r'name = "\\\""', "name", False, '\\"'),
        ('custom:a-b.c = "x"', "custom:a-b.c", False, "x"),
        ('名前 = "太郎"', "名前", False, "太郎"),
    ],
)
def test_one_condition(text: str, attribute: str, prefix: bool, value: str) -> None:
    assert parse(text) == Filter(attribute, prefix, value)


def test_nothing_is_everybody() -> None:
    assert parse("") is None


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "email",
        "email =",
        "email x",
        '= "x"',
        "email = x",
        "email = 'x'",
        'email = "x',
        'email = "x\\"',
        r"email = \"x\"",
        'email "x"',
        'email == "x"',
        'email ^ = "x"',
        'email != "x"',
        'email *= "x"',
        'email = "x"y',
        'email = "x" "y"',
        'email = "x" AND name = "y"',
        'email = "x"; DROP TABLE user',
        '"email" = "x"',
        'given name = "x"',
        'email = "x\0"',
        'email = "\ud800"',
    ],
)
def test_anything_else_cannot_be_parsed(text: str) -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        parse(text)
    assert refused.value.message == "Error while parsing filter."


@ANYTHING
@given(attribute=NAME, prefix=st.booleans(), value=TEXT)
@example(attribute="name", prefix=False, value='\\"')
@example(attribute="name", prefix=True, value="\\\\")
def test_a_filter_that_is_written_is_read_again(attribute: str, prefix: bool, value: str) -> None:
    wanted = Filter(attribute, prefix, value)
    assert parse(str(wanted)) == wanted


@ANYTHING
@given(blanks=st.tuples(BLANK, BLANK, BLANK, BLANK), prefix=st.booleans(), value=TEXT)
def test_blanks_between_the_parts_mean_nothing(blanks: tuple[str, ...], prefix: bool, value: str) -> None:
    quoted = str(Filter("x", False, value))[len("x = ") :]
    text = f"{blanks[0]}email{blanks[1]}{'^=' if prefix else '='}{blanks[2]}{quoted}{blanks[3]}"
    assert parse(text) == Filter("email", prefix, value)


@ANYTHING
@given(st.one_of(st.text(max_size=40), st.text(st.sampled_from('ab=^"\\ \0\ud800'), max_size=12)))
def test_no_text_does_more_than_to_be_refused(text: str) -> None:
    try:
        found = parse(text)
    except errors.InvalidParameter:
        return
    assert found == (parse(str(found)) if text else None)


def encoded(text: str) -> bytes:
    return text.encode("utf-8")


@ANYTHING
@given(prefix=TEXT, text=st.one_of(TEXT, st.tuples(TEXT, TEXT).map("".join)), joined=st.booleans())
def test_what_begins_alike_lies_between_the_beginning_and_its_successor(prefix: str, text: str, joined: bool) -> None:
    """In the order of bytes, by which both databases compare."""
    text = prefix + text if joined else text
    end = successor(prefix)
    between = encoded(prefix) <= encoded(text) and (end is None or encoded(text) < encoded(end))
    assert between == text.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("a", "b"),
        ("a\U0010ffff", "b"),
        ("a\U0010ffff\U0010ffff", "b"),
        ("\ud7ff", "\ue000"),
        ("\x7f", "\x80"),
        ("\uffff", "\U00010000"),
        ("", None),
        ("\U0010ffff", None),
    ],
)
def test_the_successor_of_a_beginning(prefix: str, end: str | None) -> None:
    assert successor(prefix) == end
