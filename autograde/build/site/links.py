"""Links of the repository, as links of the site; a link that leads nowhere stops the build."""

import base64
import posixpath
import re
from collections.abc import Mapping
from html import unescape

from autograde.errors import AutogradeError

from ..running import ROOT

_HREF = re.compile(r'(<a\b[^>]*?\bhref=")([^"]+)(")')
_SRC = re.compile(r'(<img\b[^>]*?\bsrc=")([^"]+)(")')
_ELSEWHERE = re.compile(r"[a-z]+:|#")


def relative(target: str, page: str) -> str:
    """The way from one page of the site to another."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def with_links(html: str, source: str, page: str, pages: Mapping[str, str]) -> str:
    """Turn links between files of the repository into links between pages.

    Args:
        html: made from `source`.
        source: path of a file in the repository.
        page: where `html` goes on the site.
        pages: path in the repository -> page, which may end in "#" and a place on it.

    Raises:
        AutogradeError: names a link for which there is no page.
    """

    def replace(match: re.Match) -> str:
        before, link, after = match.groups()
        if _ELSEWHERE.match(link):
            return match.group()
        path, mark, place = unescape(link).partition("#")
        target = pages.get(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if target is None:
            raise AutogradeError(f"{source} links to {link}, for which the site has no page.")
        return f"{before}{relative(target, page)}{mark}{place}{after}"

    return _HREF.sub(replace, html)


def with_pictures(html: str, source: str) -> str:
    """Put the pictures into the page itself, so that it is one file."""

    def replace(match: re.Match) -> str:
        before, link, after = match.groups()
        if _ELSEWHERE.match(link):
            return match.group()
        picture = (ROOT / source).parent / unescape(link)
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
        return f"{before}data:image/{picture.suffix[1:]};base64,{data}{after}"

    return _SRC.sub(replace, html)
