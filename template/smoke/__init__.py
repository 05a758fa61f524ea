"""Checks that a deployed site must pass, over HTTP as its visitors reach it.

A live site:

    make smoke URL=https://www.example.com
    uv run pytest smoke --base-url https://www.example.com

It ends with a table, a row a check: PASS, FAIL, or SKIP with the reason. The exit code is 0 if
no row says FAIL. SKIP means that a check could not be made there, so read those rows: nothing is
known about what they name.

What the checks do to a site is little and bounded. They ask some 40 times, each time with a
timeout, follow no redirect unless that is the check, and repeat nothing that failed. They make
one account, `smoke-<random>@example.com` (mail to that domain goes nowhere), and delete it by
its own page, also when a step in between fails. Three things can keep the account's row from
its end:

- Sign-up waits for a confirmation mail. The account stays, unconfirmed, since nobody can log in
  to it; the row is SKIP and names it. Delete such accounts in the admin now and then.
- Sign-up is closed (SIGNUP_OPEN=false). No account is made, and the row is SKIP.
- Logging in or the page that deletes is what failed. The row is FAIL and names what may be left.

Options of a live site's check:

    --ca-file FILE      certificates to trust, for a site whose own is self-signed
    --http-url URL      where the site answers plain http, if that is not port 80 of its host

The production set-up on this machine, before it is deployed:

    make smoke
    uv run pytest smoke

starts the command that `[tool.smoke]` in pyproject.toml names, the one that serves the live
site, under production settings on a temporary SQLite database, after `migrate` and
`collectstatic`. A stand-in ends TLS before it. What a check needs and the machine in front of
the live server would do is SKIP there. A variable that is set for this command reaches the
site, and what `.env` says does not: its database, mail server and the like are not for trials.
"""
