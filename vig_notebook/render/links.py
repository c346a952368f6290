"""Where a link may lead, and what of its target must be read beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BARE_URL", "Target", "bare_target", "target_of"]

# Only characters that every reader of URLs takes the same way: a browser reads `\` as `/`, for one.
_WEB = re.compile(
    r"https?://(?P<userinfo>[\w.~!$&'()*+,;=:%-]*@)?"
    r"(?P<host>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?P<port>:\d{1,5})?"
    r"(?:[/?#][!#-;=?-\[\]_a-z~]*)?",
    re.IGNORECASE | re.ASCII,
)
_MAIL = re.compile(r"mailto:(?P<address>[\w.!#$%&'*+/=?^`{|}~-]+@[a-z0-9.-]+)(?:\?.*)?", re.IGNORECASE | re.ASCII)
# What a reader takes for the name of a host.
_HOST_LIKE = re.compile(r"(?:[^\W_][\w-]{0,62}[.\u3002\uff0e\uff61])+[^\W\d_][\w-]+")
BARE_URL = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+", re.IGNORECASE | re.ASCII)
_LONGEST = 2_000
_LONGEST_LABEL = 300  # of a longer text nobody reads the end, where a host could hide


@dataclass(frozen=True, slots=True)
class Target:
    """A place that a click may lead to.

    Attributes:
        href: The address, in ASCII, not yet escaped for HTML.
        host: What tells the place: the host (as the network sees it, `xn--…`), or a mail address.
        is_odd: The address has a user name in it or a host that is not what it looks like.
    """

    href: str
    host: str
    is_odd: bool = False

    def needs_host_beside(self, text: str) -> bool:
        """Whether the text of the link does not say, or says otherwise, where it leads."""
        if self.is_odd or len(text) > _LONGEST_LABEL:
            return True
        shown = {found.lower().removeprefix("www.") for found in _HOST_LIKE.findall(text)}
        own = {self.host.lower().removeprefix("www."), self.host.lower().partition("@")[2]} - {""}
        return not shown or not shown <= own


def target_of(href: str) -> Target | None:
    """Take an address apart; None when it is none that we let be clicked (http, https and mailto are)."""
    if len(href) > _LONGEST:
        return None
    if mail := _MAIL.fullmatch(href):
        return Target(href="mailto:" + mail["address"], host=mail["address"])
    web = _WEB.fullmatch(href)
    if web is None:
        return None
    host = web["host"] + (web["port"] or "")
    return Target(href=href, host=host, is_odd=bool(web["userinfo"]) or "xn--" in host.lower())


def bare_target(match: re.Match[str]) -> tuple[str, Target | None]:
    """The address that stands in a text as such, less the punctuation of the sentence around it."""
    if len(match.group()) > _LONGEST:
        return match.group(), None
    url = match.group().rstrip(".,;:!?'*_~")
    while url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1].rstrip(".,;:!?'*_~")
    following = match.string[match.end() : match.end() + 1]
    goes_on = url == match.group() and following.isalnum()  # an address in other letters: not ours to cut
    return url, None if goes_on else target_of(url)
