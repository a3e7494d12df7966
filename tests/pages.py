"""A page taken apart, and what must hold of every page."""

from html.parser import HTMLParser

VOID = {"meta", "br"}


class Page(HTMLParser):
    """The page taken apart: tags are balanced, and what is asked of them is noted."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.tables = [], [], [], {}
        self._rows, self._cell = None, None
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td", "caption"):
            self._cell = []

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "caption":
            self.caption = "".join(self._cell)
        elif tag in ("th", "td"):
            self._rows[-1].append("".join(self._cell))
        elif tag == "table":
            self.tables[self.caption] = self._rows

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
        if self._cell is not None:
            self._cell.append(data)

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def table(self, start):
        return next(rows for caption, rows in self.tables.items() if caption.startswith(start))

    @property
    def words(self):
        return " ".join("".join(self.text).split())


def checked(text):
    """The page, which is whole, loads and runs nothing, and can be read without seeing its pictures."""
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.named("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in page.named("meta"))
    assert len(page.named("h1")) == 1
    assert all(th.get("scope") in ("col", "row") for th in page.named("th"))
    assert len(page.named("caption")) == len(page.named("table"))
    assert len(page.named("figcaption")) == len(page.named("figure")) == len(page.named("svg"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for svg in page.named("svg"):
        assert svg["role"] == "img"
        assert set(svg["aria-labelledby"].split()) <= set(ids)
    assert not page.named("img") + page.named("script") + page.named("link")
    links = [value for _, attrs in page.tags for key, value in attrs.items() if key in ("href", "src", "xlink:href")]
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert not any(
        "nan" in value.lower().split() for _, attrs in page.tags for key, value in attrs.items() if key == "d"
    )
    assert len(page.named("style")) == 1  # none of matplotlib's, which would be of the whole page
    assert "url(" not in text.split("</style>")[0]
    assert "@import" not in text
    assert "://" not in text
    return page
