"""Check a deployed site over HTTP, as its visitors reach it.

Check a live site:

    make smoke URL=https://www.example.com
    uv run pytest smoke --base-url https://www.example.com

The output ends with a table, one row per check: PASS, FAIL, or SKIP with the reason. The exit code is 0 if
no row says FAIL. SKIP means that the check could not be made there, so read those rows.

`[tool.smoke.site]` in pyproject.toml tells the suite about the site. Change it when you move the admin or
the home page, close sign-up or ask for more there, and list further pages to check. A check that fails
names the key that it depends on.

The checks put little load on a site. They send some 40 requests, one more for each page in
`[tool.smoke.site]`, and one for each static file of the pages that they see. Each has a timeout. They follow
no redirect unless that is the check, and do not retry. They make one account, `smoke-<random>@example.com` (a
domain that receives no email), delete it on its own page, even when a step in between fails, and check that it
is gone. Three things can stop this check:

- Sign-up waits for a confirmation email. The account is deleted again. The row is SKIP, because the suite could
  not log in.
- Sign-up is closed (SIGNUP_OPEN=false), or a program cannot fill in its form (`sign_up`). No account is made,
  and the row is SKIP.
- Login or the delete page failed. The row is FAIL and names the account that may be left.

Options for a live site:

    --ca-file FILE      certificates to trust, for a site with a self-signed certificate (also
                        REQUESTS_CA_BUNDLE in the environment)
    --http-url URL      where the site answers plain http, if not on port 80 of its host

Check the production setup on this machine, before a deploy:

    make smoke
    uv run pytest smoke

This runs `migrate` and `collectstatic`, then the command that `[tool.smoke]` in pyproject.toml names, which is
the one that serves the live site. It uses production settings and a temporary SQLite database. A stand-in
terminates TLS in front of the server; what only the live site's proxy does is SKIP. If the server does not start,
its output is printed and nothing is checked. If a check fails, what the server wrote meanwhile is printed with it.
Variables that are set for this command reach the site. Those in `.env` do not, because a trial must not use your
mail server and the like.
"""
