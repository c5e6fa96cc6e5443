"""Short texts for messages and tables: an error's first line, the first of many names, times, counts, sizes."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice


def first_line(error: BaseException) -> str:
    r"""The first line of an error's message; the name of its class if the message is empty.

    >>> first_line(ValueError("no such layer\nat line 7")), first_line(KeyError())
    ('no such layer', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def first_of(items: Collection[str], most: int, separator: str = ", ") -> str:
    """The first `most` items, and how many more there are.

    >>> first_of(["a", "b", "c", "d"], 2), first_of(["a", "b"], 2)
    ('a, b and 2 more', 'a, b')
    """
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return separator.join(islice(items, most)) + more


def short_time(seconds: float) -> str:
    """Seconds in one or two units.

    >>> short_time(3.2), short_time(135)
    ('3.2 s', '2 min 15 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def short_count(count: float) -> str:
    """A count with three digits or fewer.

    >>> short_count(272474), short_count(41000000), short_count(900)
    ('0.27 M', '41.0 M', '900')
    """
    for limit, unit in ((1e9, "G"), (1e5, "M")):
        if count >= limit:
            scaled = count / (1e9 if unit == "G" else 1e6)
            return f"{scaled:.2f} {unit}" if scaled < 10 else f"{scaled:.1f} {unit}"
    return f"{count:,.0f}"


def short_bytes(count: float) -> str:
    """A number of bytes in the largest unit that fits.

    >>> short_bytes(16400000), short_bytes(2000)
    ('16.4 MB', '2 kB')
    """
    for limit, unit in ((1e9, "GB"), (1e6, "MB")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
