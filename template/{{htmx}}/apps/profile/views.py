"""The page on which members change their name, in place or without a script."""

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.generic import UpdateView

from apps.accounts.models import User
from operations.htmx import HtmxRequest


class ProfileView(LoginRequiredMixin, UpdateView):
    """Shows the form, and saves it. htmx is given the form alone, as the partial of the template."""

    request: HtmxRequest
    fields = ("first_name", "last_name")

    def get_object(self, queryset: QuerySet[User] | None = None) -> User:  # noqa: ARG002 - Django passes it
        """The member's row, apart from `request.user`, which keeps its name where the form is refused."""
        return User.objects.get(pk=self.request.user.pk or 0)

    def get_template_names(self) -> list[str]:
        """The page, or the part of it that htmx replaces."""
        return ["profile/profile.html#form" if self.request.htmx else "profile/profile.html"]

    def form_valid(self, form: ModelForm) -> HttpResponse:
        """Save, and say so: in the form, or on the page after a redirect."""
        form.save()
        if self.request.htmx:
            return self.render_to_response(self.get_context_data(form=form, saved=True))
        messages.success(self.request, _("Saved."))
        return redirect("profile")
