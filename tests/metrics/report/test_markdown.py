"""Texts from outside in report.md: they are shown, and mean nothing."""

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from metrics.report.markdown import _table, escaped
from metrics.report.table import Table

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SIGNS = st.text(st.sampled_from("[]()<>!*_`~&;#:+-=|\\/ab1. \n"), max_size=30)


@given(st.one_of(SIGNS, st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30)))
@example("<script>alert(1)</script>")
@example("![x](http://127.0.0.1/who-reads-this)")
@example("[x][y]\n[y]: http://127.0.0.1")
@example("&lt;b&gt; <b> `rm -r` **now** ~~not~~ _x_")
def test_no_text_becomes_a_link_a_picture_or_html(text):
    page = READER.render(f"error: {escaped(text)}\n")
    assert re.findall(r"<(/?\w+)", page) == ["p", "/p"]
    shown = html.unescape(page.removeprefix("<p>error:").rstrip().removesuffix("</p>"))
    assert shown.split() == text.split()


@pytest.mark.parametrize("text", ["0.98 [0.97, 0.99] (n = 3)", "1.02× <= 5", "mlp50_adam, not cnn", "p < 0.01 & q > 2"])
def test_what_reports_say_stays_readable_in_the_file(text):
    assert escaped(text) == text


def test_a_table_is_a_table_whatever_stands_in_it():
    rows = (("a|b", "-1"), ("--:", "<b>"), ("  indented", "1 | 2"))
    page = READER.render(_table(Table(("name", "#"), (rows,))))
    assert page.count("<table>") == 1
    assert re.findall(r'<t[hd] style="text-align:(\w+)">', page) == ["left", "right"] * 4
    cells = [html.unescape(cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page)]
    assert cells == ["name", "#", "a|b", "-1", "--:", "<b>", "indented", "1 | 2"]
