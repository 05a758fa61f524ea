"""What one asks."""

from django import forms
from django.utils.translation import gettext_lazy as _

# Characters: some two pages, and a bound of what a question costs.
LONGEST_PROMPT = 4000


class AskForm(forms.Form):
    """A question in one's own words."""

    prompt = forms.CharField(
        label=_("Your question"), max_length=LONGEST_PROMPT, widget=forms.Textarea(attrs={"rows": 4})
    )
