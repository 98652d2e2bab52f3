"""One of several pictures by radio buttons that need no script; all of them show where CSS knows no ``:has``."""

from collections.abc import Collection, Mapping

from glm_edu.errors import InputError
from glm_edu.figures.markup import esc
from glm_edu.figures.svg import digest

MOST = 8  # figure.css has a rule for each


def check_choice(what: str, names: Collection[str], chosen: str, least: int = 2) -> None:
    """Raise InputError unless there are ``least`` to eight names, ``chosen`` among them."""
    if not least <= len(names) <= MOST:
        raise InputError(f"{what} has {len(names)} entries; a choice is from {least} to {MOST}.")
    if chosen not in names:
        raise InputError(f"chosen is {chosen!r}, which {what} does not have; it has {', '.join(names)}.")


def one_of(what: str, drawn: Mapping[str, str], legend: str, chosen: str, words: str) -> tuple[str, str]:
    """The picture and its controls: what is alone has none, of several the buttons choose. ``words`` name the group."""
    if len(drawn) == 1:
        return "".join(drawn.values()), ""
    check_choice(what, drawn, chosen)
    picture = "".join(panel(name, html) for name, html in drawn.items())
    return picture, radios([*drawn], legend, chosen, digest(words + picture))


def panel(name: str, picture: str) -> str:
    """One of the pictures, under its name."""
    return f'<div class="glm-panel"><p class="glm-part">{esc(name)}</p>{picture}</div>'


def radios(names: list[str], legend: str, chosen: str, group: str) -> str:
    """The buttons, in the order of the panels. ``group`` is a name that no other choice of the page has."""
    buttons = []
    for name in names:
        checked = " checked" if name == chosen else ""
        buttons.append(f'<label><input type="radio" name="{group}"{checked}><span>{esc(name)}</span></label>')
    group_of_radios = f'<fieldset class="glm-choice"><legend>{esc(legend)}</legend>{"".join(buttons)}</fieldset>'
    return f'<div class="glm-controls">{group_of_radios}</div>'
