"""The page on which a member asks a language model."""

from allauth.core import ratelimit
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpResponse
from django.views.generic import FormView

from apps.assistant import provider
from apps.assistant.forms import AskForm


class AskView(LoginRequiredMixin, FormView):
    """Shows a question's answer, and says so where it comes from no model."""

    form_class = AskForm
    template_name = "assistant/ask.html"

    def form_valid(self, form: AskForm) -> HttpResponse:
        """Ask, unless this member has asked too much: ACCOUNT_RATE_LIMITS has the limit."""
        if not ratelimit.consume(self.request, action="assistant", user=self.request.user):
            return self.render_to_response(self.get_context_data(form=form, too_many=True), status=429)
        answer = provider.ask(form.cleaned_data["prompt"])
        return self.render_to_response(self.get_context_data(form=form, answer=answer))
