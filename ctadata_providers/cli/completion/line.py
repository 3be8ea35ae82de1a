"""The line that is typed in bash, taken apart as bash and readline do."""

from dataclasses import dataclass

_ESCAPED_IN_DOUBLE = '"\\$`'


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands before the cursor.

    Attributes:
        words: Whole words, without their quotes, the command first; no redirections.
        current: The word that is being typed, without its quotes.
        cut: How many characters of it readline takes for another word, and does not replace.
        redirected: Whether it names where standard input or output goes.
    """

    words: list[str]
    current: str
    cut: int
    redirected: bool = False


def split_line(text: str, breaks: str) -> Typed:
    r"""Take a line apart.

    Args:
        text: The line up to the cursor.
        breaks: COMP_WORDBREAKS: where readline begins another word, inside what is one to the shell.

    >>> split_line("ctadata list cta://lst/my\\ f", ": ")
    Typed(words=['ctadata', 'list'], current='cta://lst/my f', cut=4, redirected=False)
    >>> split_line("ctadata list 'a b' lst/\"c:d e", ": ")
    Typed(words=['ctadata', 'list', 'a b'], current='lst/c:d e', cut=4, redirected=False)
    """
    words: list[str] = []
    current: list[str] = []
    quote, cut, begun, redirected = "", 0, False, False
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if quote == "'" or (quote and char == quote):
            if char == quote:
                quote = ""
            else:
                current.append(char)
        elif char == "\\":
            follows = text[at : at + 1]
            if quote and follows not in _ESCAPED_IN_DOUBLE:
                current.append(char)
            else:
                current.append(follows)
                at += 1
            begun = True
        elif quote:
            current.append(char)
        elif char in "'\"":
            quote, begun = char, True
            opened = len(current)
        elif char in " \t\n<>":
            if begun and not redirected and not (char in "<>" and "".join(current).isdecimal()):
                words.append("".join(current))
            if begun or char in "<>":
                redirected = char in "<>" or (redirected and not begun)
            current, cut, begun = [], 0, False
        else:
            current.append(char)
            begun = True
            if char in breaks:
                cut = len(current)
    return Typed(words, "".join(current), opened if quote else cut, redirected)
