"""Checks that a deployed site must pass, over HTTP as its visitors reach it.

A live site:

    make smoke URL=https://www.example.com
    uv run pytest smoke --base-url https://www.example.com

It ends with a table, a row a check: PASS, FAIL, or SKIP with the reason. The exit code is 0 if
no row says FAIL. SKIP means that a check could not be made there, so read those rows: nothing is
known about what they name.

What the suite knows of the site is in pyproject.toml, `[tool.smoke.site]`: change it when you move
the admin or the home page, close sign-up or ask there for more, and name there what other pages must be
shown. A check that fails names its key.

What the checks do to a site is little and bounded. They ask some 40 times, once more for each page
that `[tool.smoke.site]` names, and once for each static file of the pages that they see, each time with
a timeout, follow no redirect unless that is the check, and repeat nothing that failed. They make
one account, `smoke-<random>@example.com` (a domain that takes no mail), delete it by its own
page, also when a step in between fails, and see that it is gone. Three things can keep that row
from its end:

- Sign-up waits for a confirmation mail. The account is deleted again, and the row is SKIP, since
  whether one can log in stays open.
- Sign-up is closed (SIGNUP_OPEN=false), or its form cannot be filled in by a program (`sign_up`). No
  account is made, and the row is SKIP.
- Logging in or the page that deletes is what failed. The row is FAIL and names what may be left.

Options of a live site's check:

    --ca-file FILE      certificates to trust, for a site whose own is self-signed (also
                        REQUESTS_CA_BUNDLE in the environment)
    --http-url URL      where the site answers plain http, if that is not port 80 of its host

The production set-up on this machine, before it is deployed:

    make smoke
    uv run pytest smoke

starts the command that `[tool.smoke]` in pyproject.toml names, the one that serves the live
site, under production settings on a temporary SQLite database, after `migrate` and
`collectstatic`. A stand-in ends TLS before it. What only the machine in front of the live server
does is SKIP there. If the server does not start, its own words are printed and nothing is
checked; if a check fails, what the server wrote meanwhile stands with it. A variable that is set
for this command reaches the site, and what `.env` says does not: its mail server and the like
are not for trials.
"""
