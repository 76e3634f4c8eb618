"""HTML in which text cannot become markup: every child that is not ``Html`` is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: str | bool) -> Html:
    """An element with its children; ``class_`` stands for the attribute ``class``."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not False
    )
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[object], between: str = "") -> Html:
    """Children one after another; ``None`` is left out."""
    kept = (child for child in children if child is not None)
    return Html(between.join(child if isinstance(child, Html) else escape(str(child)) for child in kept))


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = (), label: str
) -> Html:
    """A table that scrolls sideways where it must.

    Args:
        head: the columns' headings.
        rows: cells; each row's first is its heading.
        numbers: columns that are set flush right.
        label: what the table holds, for screen readers.
    """
    heading = tag(
        "tr", *(tag("th", each, scope="col", class_=_class(n, numbers)) for n, each in enumerate(head))
    )
    body = (
        tag(
            "tr",
            *(
                tag("th", cell, scope="row") if n == 0 else tag("td", cell, class_=_class(n, numbers))
                for n, cell in enumerate(row)
            ),
        )
        for row in rows
    )
    caption = tag("caption", label, class_="unseen")
    grid = tag("table", caption, tag("thead", heading), tag("tbody", join(body, "\n")))
    return tag("div", grid, class_="scroll", role="region", aria_label=label, tabindex="0")


def _class(column: int, numbers: Sequence[int]) -> str | bool:
    return "number" if column in numbers else False
