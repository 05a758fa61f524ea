"""Explain during development why something was refused, and show the setting that allows it. Production does not use this.

`make dev` prints what a page's Content-Security-Policy blocked, and requests for hosts that the site does not answer.
docs/content-security-policy.md explains the policy.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.utils.csp import CSP, build_policy
from django.utils.html import format_html

from operations.requests import policy_prefix
from operations.welcome import PREVIEWS, preview

log = logging.getLogger("development")

# The URL to which browsers report what they blocked.
REPORTS = "/csp-report/"
# The name of each source in the settings.
NAMES = {member.value: f"CSP.{member.name}" for member in CSP}
ADMIT = "To admit it: make dev DEVELOPMENT_HOSTS={}"
# Browsers follow this many redirects.
REDIRECTS = 20

GetResponse = Callable[[HttpRequest], HttpResponse]
Policy = dict[str, list[str]]


class Page(NamedTuple):
    """Describe a page on which something was blocked."""

    path: str
    host: str
    policy: Policy
    # Whether it is the one of all pages that have none of their own.
    is_the_sites: bool
    # What SECURE_CSP_BY_PREFIX has for it.
    prefix: str | None


class DevelopmentMiddleware:
    """Receive browsers' reports, and print each refusal once, with what to do."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        # Where paths of this site lead, which reports do not tell.
        self.redirects: dict[str, str] = {}
        self.said: set[str] = set()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Take a report, or answer the request with policies that ask for reports."""
        if request.path_info == REPORTS:
            self.say(*read_reports(request, self.redirects))
            return HttpResponse(status=204)
        if request.path_info.startswith(PREVIEWS):
            return preview(request, request.path_info)
        response = self.get_response(request)
        if location := response.headers.get("Location"):
            self.redirects[request.path] = location
        if response.status_code == 400:
            self.say(*refused_host(request))
        for header in (str(CSP.HEADER_ENFORCE), str(CSP.HEADER_REPORT_ONLY)):
            if header in response.headers:
                # The first of a name counts.
                response.headers[header] = f"report-uri {REPORTS}; {response.headers[header]}"
        return response

    def say(self, *lines: str) -> None:
        """Print lines that were not printed before, without control characters for the terminal."""
        for line in lines:
            if line not in self.said:
                self.said.add(line)
                log.warning("%s", "".join(letter if letter.isprintable() else " " for letter in line))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid CSRF token with Django's reason, which the live site does not show."""
    page = """<!DOCTYPE html>
<title>403 Forbidden</title>
<h1>403 Forbidden</h1>
<p>{}</p>
<p>{}</p>
<p>The live site shows <code>templates/403_csrf.html</code> instead. More:
<a href="https://docs.djangoproject.com/en/stable/ref/csrf/">docs.djangoproject.com/en/stable/ref/csrf/</a></p>
"""
    host = urlsplit(request.headers.get("Origin", "")).hostname
    foreign = host is not None and reason.startswith("Origin")
    return HttpResponseForbidden(format_html(page, reason, ADMIT.format(host) if foreign else ""))


def refused_host(request: HttpRequest) -> list[str]:
    """Return a line about a request's host if the site does not answer to it."""
    try:
        request.get_host()
    except DisallowedHost:
        host = urlsplit(f"//{request.META.get('HTTP_HOST', '')}").hostname or "HOST"
        return [f"{host} is no host of this site in development. {ADMIT.format(host)}"]
    return []


def read_reports(request: HttpRequest, redirects: Mapping[str, str]) -> list[str]:
    """Return a line about a browser's report if it concerns a page of this site."""
    try:
        report = json.loads(request.body)["csp-report"]
        line = advice({name: str(value) for name, value in report.items()}, redirects)
    except (AttributeError, KeyError, RequestDataTooBig, TypeError, ValueError):
        return []
    return [line] if line else []


def advice(report: Mapping[str, str], redirects: Mapping[str, str]) -> str:
    """Return what was blocked, and the line that allows it.

    Args:
        report: what a browser sends, as https://www.w3.org/TR/CSP3/#deprecated-serialize-violation says.
        redirects: where paths of this site lead.

    Returns:
        A line of text; none for what an extension of the browser does.

    Raises:
        KeyError: it is no such report.
    """
    blocked, source = report["blocked-uri"], report.get("source-file", "")
    if any(urlsplit(each).scheme.endswith("-extension") or each.endswith("-extension") for each in (blocked, source)):
        return ""
    page = page_of(report)
    found = report.get("effective-directive") or report["violated-directive"].split()[0]
    directive = found.removesuffix("-elem").removesuffix("-attr")
    where = f", line {report['line-number']}" if report.get("line-number", "0") != "0" else ""
    by = f" (by {urlsplit(source).path or source}{where})" if source else ""
    what = f"an inline {'script' if directive == 'script-src' else 'style'}" if blocked == "inline" else blocked
    said = f"The policy of {page.path} blocks {what or 'something'}{by}, for {directive}. "
    if blocked == "inline":
        return said + about_inline(found, directive, page, source)
    if blocked == "eval":
        better = "Text becomes code: take a build of the library that does without"
        return f"{said}{better}. Or, on pages below this one: {exception(directive, CSP.UNSAFE_EVAL, page)}"
    sources = [source for source in [allowing(blocked, directive, page, redirects)] if source]
    if not sources:
        return said + f"It redirects to another site, whose origin to allow: {addition(directive, ['https://…'], page)}"
    return said + f"To allow it: {addition(directive, sources, page)}"


def page_of(report: Mapping[str, str]) -> Page:
    """Return the page that a report is about."""
    url, policy = urlsplit(report["document-uri"]), parsed(report["original-policy"])
    is_the_sites = policy == parsed(build_policy(settings.SECURE_CSP))
    return Page(url.path, url.netloc, policy, is_the_sites, policy_prefix(url.path))


def parsed(policy: str) -> Policy:
    """Return the directives of a header, each with its sources, without nonces and where reports go."""
    split = [each.split() for each in policy.split(";") if each.strip()]
    return {
        name: [source for source in sources if not source.startswith("'nonce-")]
        for name, *sources in split
        if name != "report-uri"
    }


def allowing(blocked: str, directive: str, page: Page, redirects: Mapping[str, str]) -> str:
    """Return the source that allows what was blocked; empty for a redirect with an unknown target."""
    if blocked == "wasm-eval":
        return CSP.WASM_UNSAFE_EVAL
    for _ in range(REDIRECTS):
        url = urlsplit(blocked)
        if not url.netloc:
            # A scheme alone, with its colon or without.
            return f"{url.scheme or blocked}:"
        if url.netloc != page.host or url.scheme not in ("http", "https"):
            return f"{url.scheme}://{url.netloc}"
        if CSP.SELF not in in_force(directive, page.policy):
            return CSP.SELF
        if url.path not in redirects:
            break
        blocked = urljoin(blocked, redirects[url.path])
    return ""


def in_force(directive: str, policy: Policy) -> Sequence[str]:
    """Return the sources that a policy allows for a directive, or for the one that it falls back to."""
    # https://www.w3.org/TR/CSP3/#directive-fallback-list
    others = {"worker-src": ["child-src", "script-src"], "frame-src": ["child-src"]}.get(directive, [])
    # These have no fallback.
    last = [] if directive in ("base-uri", "form-action", "frame-ancestors") else ["default-src"]
    return next((policy[name] for name in (directive, *others, *last) if name in policy), [])


def addition(directive: str, sources: list[str], page: Page) -> str:
    """Return the line of the settings that adds sources to a directive."""
    before = [source for source in in_force(directive, page.policy) if source != CSP.NONE]
    whole = spelled(list(dict.fromkeys([*before, *sources])))
    if page.prefix is not None:
        name = f'SECURE_CSP_BY_PREFIX["{page.prefix}"]'
        has_it = directive in settings.SECURE_CSP_BY_PREFIX[page.prefix]
        whole = and_the_sites(directive, sources, page)
    elif page.is_the_sites:
        name, has_it = "SECURE_CSP", page.policy.get(directive, [CSP.NONE]) != [CSP.NONE]
    else:
        return f'"{directive}": {whole}, in the `csp_override` of its view'
    return f'{name}["{directive}"] ' + (f"+= {spelled(sources)}" if has_it else f"= {whole}")


def exception(directive: str, source: str, page: Page) -> str:
    """Return the line of the settings that allows something only on pages below this one."""
    if page.is_the_sites and page.prefix is None:
        return f'SECURE_CSP_BY_PREFIX["{page.path}"]["{directive}"] = {and_the_sites(directive, [source], page)}'
    return addition(directive, [source], page)


def and_the_sites(directive: str, sources: list[str], page: Page) -> str:
    """Return the sources of a directive for pages below a path: the site's own, with the nonce, and more."""
    if CSP.UNSAFE_INLINE in sources or directive not in settings.SECURE_CSP:
        # A nonce in the list would make browsers ignore it.
        return spelled([*(each for each in in_force(directive, page.policy) if each != CSP.NONE), *sources])
    return f'[*SECURE_CSP["{directive}"], {spelled(sources)[1:]}'


def about_inline(found: str, directive: str, page: Page, source: str) -> str:
    """Return what to do about a script or a style in a page.

    Args:
        found: the directive as the browser calls it: for an element (-elem) or an attribute (-attr).
        directive: as the settings call it.
        page: where it was.
        source: the URL of what made it.
    """
    allow = exception(found if found.endswith("-attr") else directive, CSP.UNSAFE_INLINE, page)
    if found.endswith("-attr"):
        better = "a class of your style sheet" if directive == "style-src" else "addEventListener in a file of static/"
        return f"An attribute has no nonce: write {better}. Or, on pages below this one: {allow}"
    if source and urlsplit(source).path != page.path:
        if "htmx" in source:
            return """Write its rules into your style sheet, and: <meta name="htmx-config" content='{"includeIndicatorStyles": false}'>"""
        return f"A script makes it, so no nonce helps. To allow it on pages below this one: {allow}"
    return f'Give it the nonce: <{"script" if directive == "script-src" else "style"} nonce="{{{{ csp_nonce }}}}">'


def spelled(sources: Sequence[str]) -> str:
    """Return sources as the settings write them."""
    return "[" + ", ".join(NAMES.get(source) or json.dumps(source, ensure_ascii=False) for source in sources) + "]"
