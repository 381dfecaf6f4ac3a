from hypothesis import given
from hypothesis import strategies as st

from actors.readers.markup import read_html


def test_a_page_as_its_reader_sees_it() -> None:
    page = b"""<!doctype html><html><head><title>Harbour &amp; town</title><style>p{}</style></head><body>
    <script>evil()</script><div>The <b>har</b>bour   opens<br>at dawn.</div><p>Next.
    <ul><li>one<li>two</ul><pre># not a heading
  kept</pre><table><tr><th>Ship<th>Time</tr><tr><td>Ada<td>9</table>
    <h2>Sub</h2><p hidden>x<template>t</template>"""
    assert read_html(page) == (
        "# Harbour & town\n\nThe harbour opens\nat dawn.\n\nNext.\n\n- one\n- two\n\n"
        "```\n# not a heading\n  kept\n```\n\nShip | Time\nAda | 9\n\n## Sub\n\nx"
    )


def test_a_heading_of_its_own_makes_the_title_needless() -> None:
    assert read_html(b"<title>Site</title><h1>Page</h1><p>text") == "# Page\n\ntext"


def test_the_declared_encoding_is_used() -> None:
    assert read_html('<meta charset="windows-1251"><p>да'.encode("cp1251")) == "да"


def test_depth_is_no_matter() -> None:
    assert read_html(b"<b>" * 50_000 + b"deep") == "deep"


@given(
    st.lists(
        st.sampled_from(["<p>", "</p>", "<pre>", "</pre>", "<td>", "<li>", "&#0;", "a ", "<br>", "é", "<"])
    )
)
def test_no_soup_is_too_thin(parts: list[str]) -> None:
    text = read_html("".join(parts).encode())
    text.encode()
    assert "\0" not in text
    assert "\r" not in text
