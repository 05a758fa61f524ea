"""What the emails and messages of accounts say. Change the words here.

An email or message of allauth's that is not listed here is as allauth has it. So is one that has a template of its name in
`templates/account/` (https://docs.allauth.org/en/latest/common/email.html).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import allauth
from allauth.account import app_settings
from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.loader import get_template, render_to_string
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

Text = str | Promise


@dataclass(frozen=True)
class Mail:
    """An email: its subject, its paragraphs, a link with what its button says, and the paragraphs below it."""

    subject: Text
    text: tuple[Text, ...]
    link: str = ""
    button: Text = ""
    more: tuple[Text, ...] = ()
    # Days for which the link works.
    days: int = 0


def changed(subject: Text, text: Text) -> Mail:
    """Return an email about what was done to an account."""
    return Mail(
        subject,
        (text, _("It was done from {ip}, with {user_agent}."), _("If it was not you, set a new password now:")),
        "password_reset_url",
        _("Set a new password"),
    )


NEVER_MIND = (_("If it was not you, ignore this email. Nothing changes."),)
CONFIRM = Mail(
    _("Confirm your email address"),
    (_("Someone has given this email address at {site}. If it was you, confirm it:"),),
    "activate_url",
    _("Confirm the address"),
    NEVER_MIND,
    days=app_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS,
)
# By allauth's names.
MAILS = {
    "email_confirmation": CONFIRM,
    "email_confirmation_signup": CONFIRM,
    "password_reset_key": Mail(
        _("Set a new password"),
        (_("Someone has asked to set a new password for {email} at {site}. If it was you, go on here:"),),
        "password_reset_url",
        _("Set a new password"),
        NEVER_MIND,
        days=settings.PASSWORD_RESET_TIMEOUT // (24 * 3600),
    ),
    "unknown_account": Mail(
        _("There is no account for this address"),
        (
            _("Someone has asked to set a new password for {email} at {site}. There is no account for this address."),
            _("If it was you, use the address that you signed up with, or sign up:"),
        ),
        "signup_url",
        _("Sign up"),
        NEVER_MIND,
    ),
    "account_already_exists": Mail(
        _("You already have an account"),
        (
            _("Someone has tried to sign up at {site} with {email}. This address already has an account."),
            _("If it was you and you forgot your password, set a new one:"),
        ),
        "password_reset_url",
        _("Set a new password"),
        NEVER_MIND,
    ),
    "password_changed": changed(
        _("Your password was changed"), _("The password of your account at {site} was changed.")
    ),
    "password_reset": changed(
        _("Your password was changed"), _("A new password was set for your account at {site}, by a link from an email.")
    ),
    "password_set": changed(_("Your account has a password"), _("A password was set for your account at {site}.")),
    # It goes to the address that was, which resets no password any more.
    "email_changed": Mail(
        _("Your email address was changed"),
        (
            _("The email address of your account at {site} was changed from {from_email} to {to_email}."),
            _("It was done from {ip}, with {user_agent}."),
            _("If it was not you, tell whoever runs {site} at once."),
        ),
    ),
    "email_confirm": changed(
        _("Your email address is confirmed"), _("{email} is now an address of your account at {site}.")
    ),
    "email_deleted": changed(
        _("An email address was removed"), _("{deleted_email} was removed from your account at {site}.")
    ),
}
MESSAGES = {
    "cannot_delete_primary_email": _("{email} is your main address, so it cannot be removed."),
    "email_confirmation_failed": _("{email} belongs to another account."),
    "email_confirmation_sent": _("We have sent an email to {email}. Follow the link in it to confirm the address."),
    "email_confirmed": _("{email} is confirmed."),
    "email_deleted": _("{email} was removed."),
    "logged_in": _("You are logged in."),
    "logged_out": _("You are logged out."),
    "password_changed": _("Your password is changed."),
    "password_set": _("Your password is set."),
    "primary_email_set": _("Your main address is changed."),
    "unverified_primary_email": _("Confirm the address before you make it the main one."),
}


def is_allauths(template: str) -> bool:
    """Return whether a template is none of the project's own."""
    try:
        # Django's templates have it, and its types do not say so.
        origin = get_template(template).origin.name  # type: ignore[attr-defined]
    except TemplateDoesNotExist:
        return True
    return Path(origin).is_relative_to(Path(allauth.__file__).parent)


def mail(prefix: str, context: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return the subject, the text and the HTML of an email; None if it is not one of these.

    Args:
        prefix: allauth's name of it, such as `account/email/password_changed`.
        context: what allauth gives its template, and `current_site`.
    """
    folder, _slash, name = prefix.rpartition("/")
    found = MAILS.get(name) if folder == "account/email" and is_allauths(f"{prefix}_message.txt") else None
    # Sites that confirm by codes send no link.
    if found is None or (found.link and found.link not in context):
        return None
    site = context["current_site"]
    values = {"site": site.name, "ip": "", "user_agent": "", **context}
    above = [str(paragraph).format_map(values) for paragraph in found.text]
    link = str(context[found.link]) if found.link else ""
    below = [str(paragraph).format_map(values) for paragraph in found.more]
    if found.days:
        below.insert(0, ngettext("The link works for %d day.", "The link works for %d days.", found.days) % found.days)
    if "timestamp" in context:
        below.append(date_format(localtime(context["timestamp"]), "DATETIME_FORMAT"))
    text = "\n\n".join([*above, *filter(None, [link]), *below, f"{site.name}\n{site.domain}"])
    page = {"subject": found.subject, "above": above, "link": link, "button": found.button, "below": below}
    return str(found.subject), text + "\n", render_to_string("account/mail.html", {**page, "site": site})


def message(template: str, context: Mapping[str, Any]) -> str:
    """Return what a message says; empty if it is not one of these.

    Args:
        template: allauth's name of it, such as `account/messages/logged_in.txt`.
        context: what allauth gives that template.
    """
    folder, _slash, name = template.removesuffix(".txt").rpartition("/")
    found = MESSAGES.get(name) if folder == "account/messages" and is_allauths(template) else None
    return str(found).format_map(context) if found else ""
