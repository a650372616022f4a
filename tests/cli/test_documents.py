"""YAML that is read strictly, and written so that every reader takes text for text."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cli import documents
from app.cli.documents import DocumentError

TRAPS = [
    *(
        "no",
        "Yes",
        "ON",
        "true",
        "null",
        "~",
        "",
        "1e3",
        "1E3",
        "007",
        "0o7",
        "0x1f",
        "1_000",
        "12:30:00",
        "2026-03-01",
    ),
    *("=", "<<", "- x", "a: b", "#x", " x", "x ", "\tx", "on\n", "a\nb", "a\n b \n", "é", "\x85", "\u2028", "\ufeff"),
    *(".5", "1.", "+1", "-0", ".inf", ".NaN", "{a}", "[a]", "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "---", "..."),
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**17), 10**17), st.text(max_size=12), st.sampled_from(TRAPS)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(values)
def test_what_is_written_is_read_back_whatever_it_is(value: object) -> None:
    assert documents.read("f", documents.written(value).encode()).value == value


@pytest.mark.parametrize("text", TRAPS)
def test_other_readers_take_text_for_text_too(text: str) -> None:
    assert yaml.safe_load(documents.written({"key": text})) == {"key": text}


@pytest.mark.parametrize(
    "text", ["no", "1e3", "007", "2026-03-01", "0x1f", "1_000", "12:30", "Yes", "TRUE", "+1", ".5"]
)
def test_what_people_write_without_quotes_is_text(text: str) -> None:
    assert documents.read("f", f"key: {text}".encode()).value == {"key": text}


def test_numbers_true_false_and_null_are_what_they_are() -> None:
    text = b"[1, -2, 0.5, true, false, null, ~, '1', \"true\", !!str 5]"
    assert documents.read("f", text).value == [1, -2, 0.5, True, False, None, None, "1", "true", "5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "f, line 4: b.c: stands there twice"),
        ("a: &x [1]\nb: *x", "f, line 1: anchors and aliases (& and *) are not read here; write it out."),
        ("a: 1\nb: !!python/object:os.system x", "f, line 2: b: the tag tag:yaml.org,2002:python/object:os.system is"),
        ("a: !!binary aGk=", "the tag tag:yaml.org,2002:binary is not read here"),
        ("a: 1\n\tb: 2", "f, line 2: found character '\\t' that cannot start any token."),
        ("a: [1", "f, line 1: expected ',' or ']'"),
        ("a: 1\n---\nb: 2", "f, line 2: but found another document."),
        ("[" * 5000, "f, line 1: nested too deeply."),
        ("? [a]\n: b", "a key must be a word"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as told:
        documents.read("f", text.encode())
    assert said in told.value.message


def test_a_billion_laughs_are_refused_before_the_first() -> None:
    lines = ['a0: &a0 ["lol"]', *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    with pytest.raises(DocumentError, match="aliases"):
        documents.read("f", "\n".join(lines).encode())


@pytest.mark.parametrize(
    ("data", "said"), [(b"\xff\xfe", "not UTF-8"), (b"#" * (documents.LARGEST + 1), "larger than 16 MB")]
)
def test_what_is_no_document_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        documents.read("f", data)
