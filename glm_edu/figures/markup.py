"""Text and numbers on their way into a page: everything is escaped here, and numbers keep four significant digits."""

import html
import json
import re
from typing import Any

# Whitespace tokens would be invisible on an axis.
VISIBLE = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥", " ": "␣", "\u3000": "␣"})


def esc(text: object) -> str:
    """Escaped for element content and for quoted attributes."""
    return html.escape(str(text), quote=True)


def rich(text: str) -> str:
    """Escaped text in which only ``**bold**`` and `` `code` `` are markup."""
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(text))
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", safe)


def plain(text: str) -> str:
    """The words of a rich text, for alt texts and titles: no markup, not yet escaped."""
    return re.sub(r"\*\*|`", "", text)


def token_label(token: object) -> str:
    """A token as an axis shows it: whitespace made visible, nothing empty, not yet escaped."""
    return str(token).translate(VISIBLE) or "∅"


def significant(value: float, digits: int = 4) -> float | int:
    """``value`` to at most four significant digits; whole numbers stay whole. 0.123456 -> 0.1235"""
    short = float(f"{float(value):.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def script_json(data: Any) -> str:
    """JSON that cannot close the ``<script>`` it stands in, whatever its strings hold. NaN and infinity are refused."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
