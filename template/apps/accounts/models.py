"""The account: an e-mail address instead of a user name."""

import logging
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

log = logging.getLogger(__name__)


class UserManager(BaseUserManager["User"]):
    """Makes and finds accounts by e-mail address, always in lower case as allauth stores them."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The address as it is stored. Forms ask for it too, the admin's among them."""
        return super().normalize_email(email).lower()

    def get_by_natural_key(self, username: str | None) -> "User":
        """The account that has the address, however it is written."""
        return super().get_by_natural_key(self.normalize_email(username))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A new account. Without a password nobody can log in to it.

        Raises:
            ValueError: the address is empty.
        """
        if not email:
            raise ValueError("An account needs an e-mail address.")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    @transaction.atomic
    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A new account that may do everything, its address confirmed so that it can log in."""
        from allauth.account.models import EmailAddress

        user = self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})
        EmailAddress.objects.using(self._db).create(user=user, email=user.email, primary=True, verified=True)
        return user


class User(AbstractUser):
    """A person who can log in, by e-mail address and password."""

    # Django's way to do without a field of its abstract user, which type checkers do not know.
    username = None  # type: ignore[assignment]
    email = models.EmailField(_("email address"), unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    # Another manager than AbstractUser's, which asks for a user name.
    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    class Meta(AbstractUser.Meta):
        """Names in the admin, and one account an address however it is written."""

        abstract = False
        constraints: ClassVar = [models.UniqueConstraint(Lower("email"), name="accounts_user_email_in_any_case")]

    def clean(self) -> None:
        """Refuse an address that another account has confirmed, beside its own.

        Raises:
            ValidationError: there is such an account. The admin shows it at the field.
        """
        from allauth.account.models import EmailAddress

        super().clean()
        if EmailAddress.objects.filter(email=self.email, verified=True).exclude(user_id=self.pk).exists():
            raise ValidationError({"email": _("Another account has confirmed this address.")})


def free_confirmed_address(email_address: Any, **_kwargs: Any) -> None:
    """Delete what others signed up with an address that has now been confirmed.

    They never confirmed it nor logged in, and would keep its owner from using it. What the admin
    made for staff stays. An account that rows of the project protect stays without the address, and nobody can log in to it.
    """
    never_used = User.objects.filter(email__iexact=email_address.email, last_login=None, is_staff=False)
    for user in never_used.exclude(pk=email_address.user_id).exclude(emailaddress__verified=True):
        account = user.pk
        try:
            user.delete()
        except IntegrityError as error:
            log.warning("account %s was never confirmed, lost its address and stays: %s", account, error.args[0])
            # A domain that cannot exist: https://www.rfc-editor.org/rfc/rfc2606
            User.objects.filter(pk=account).update(email=f"account-{account}@unconfirmed.invalid", is_active=False)
            user.emailaddress_set.all().delete()
