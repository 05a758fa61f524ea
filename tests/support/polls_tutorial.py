"""The app of Django's first tutorial, polls, part by part as a beginner types it: plain code without types.

Source: https://docs.djangoproject.com/en/6.1/intro/tutorial01/ and its next parts. The app is in `apps/`, as the README says.
"""

URLS = """from django.urls import path

from . import views

{namespace}urlpatterns = [
{patterns}
]
"""

VIEWS_1 = """from django.http import HttpResponse


def index(request):
    return HttpResponse("Hello, world. You're at the polls index.")
"""
URLS_1 = URLS.format(namespace="", patterns='    path("", views.index, name="index"),')

MODELS_2 = """import datetime

from django.db import models
from django.utils import timezone


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField("date published")

    def __str__(self):
        return self.question_text

    def was_published_recently(self):
        return self.pub_date >= timezone.now() - datetime.timedelta(days=1)


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    choice_text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)

    def __str__(self):
        return self.choice_text
"""
ADMIN_2 = """from django.contrib import admin

from .models import Question

admin.site.register(Question)
"""

VIEWS_3 = """from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Question


def index(request):
    latest_question_list = Question.objects.order_by("-pub_date")[:5]
    context = {"latest_question_list": latest_question_list}
    return render(request, "polls/index.html", context)


def detail(request, question_id):
    question = get_object_or_404(Question, pk=question_id)
    return render(request, "polls/detail.html", {"question": question})


def results(request, question_id):
    response = "You're looking at the results of question %s."
    return HttpResponse(response % question_id)


def vote(request, question_id):
    return HttpResponse("You're voting on question %s." % question_id)
"""
URLS_3 = URLS.format(
    namespace='app_name = "polls"\n',
    patterns="""    # ex: /polls/
    path("", views.index, name="index"),
    # ex: /polls/5/
    path("<int:question_id>/", views.detail, name="detail"),
    # ex: /polls/5/results/
    path("<int:question_id>/results/", views.results, name="results"),
    # ex: /polls/5/vote/
    path("<int:question_id>/vote/", views.vote, name="vote"),""",
)
INDEX_3 = """{% if latest_question_list %}
    <ul>
    {% for question in latest_question_list %}
        <li><a href="{% url 'polls:detail' question.id %}">{{ question.question_text }}</a></li>
    {% endfor %}
    </ul>
{% else %}
    <p>No polls are available.</p>
{% endif %}
"""
DETAIL_3 = """<h1>{{ question.question_text }}</h1>
<ul>
{% for choice in question.choice_set.all %}
    <li>{{ choice.choice_text }}</li>
{% endfor %}
</ul>
"""

VIEWS_4 = """from django.db.models import F
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views import generic

from .models import Choice, Question


class IndexView(generic.ListView):
    template_name = "polls/index.html"
    context_object_name = "latest_question_list"

    def get_queryset(self):
        \"\"\"Return the last five published questions.\"\"\"
        return Question.objects.order_by("-pub_date")[:5]


class DetailView(generic.DetailView):
    model = Question
    template_name = "polls/detail.html"


class ResultsView(generic.DetailView):
    model = Question
    template_name = "polls/results.html"


def vote(request, question_id):
    question = get_object_or_404(Question, pk=question_id)
    try:
        selected_choice = question.choice_set.get(pk=request.POST["choice"])
    except (KeyError, Choice.DoesNotExist):
        # Redisplay the question voting form.
        return render(
            request,
            "polls/detail.html",
            {
                "question": question,
                "error_message": "You didn't select a choice.",
            },
        )
    else:
        selected_choice.votes = F("votes") + 1
        selected_choice.save()
        # Always return an HttpResponseRedirect after successfully dealing
        # with POST data. This prevents data from being posted twice if a
        # user hits the Back button.
        return HttpResponseRedirect(reverse("polls:results", args=(question.id,)))
"""
URLS_4 = URLS.format(
    namespace='app_name = "polls"\n',
    patterns="""    path("", views.IndexView.as_view(), name="index"),
    path("<int:pk>/", views.DetailView.as_view(), name="detail"),
    path("<int:pk>/results/", views.ResultsView.as_view(), name="results"),
    path("<int:question_id>/vote/", views.vote, name="vote"),""",
)
DETAIL_4 = """<form action="{% url 'polls:vote' question.id %}" method="post">
{% csrf_token %}
<fieldset>
    <legend><h1>{{ question.question_text }}</h1></legend>
    {% if error_message %}<p><strong>{{ error_message }}</strong></p>{% endif %}
    {% for choice in question.choice_set.all %}
        <input type="radio" name="choice" id="choice{{ forloop.counter }}" value="{{ choice.id }}">
        <label for="choice{{ forloop.counter }}">{{ choice.choice_text }}</label><br>
    {% endfor %}
</fieldset>
<input type="submit" value="Vote">
</form>
"""
RESULTS_4 = """<h1>{{ question.question_text }}</h1>

<ul>
{% for choice in question.choice_set.all %}
    <li>{{ choice.choice_text }} -- {{ choice.votes }} vote{{ choice.votes|pluralize }}</li>
{% endfor %}
</ul>

<a href="{% url 'polls:detail' question.id %}">Vote again?</a>
"""

MODELS_5 = MODELS_2.replace(
    "        return self.pub_date >= timezone.now() - datetime.timedelta(days=1)\n",
    "        now = timezone.now()\n        return now - datetime.timedelta(days=1) <= self.pub_date <= now\n",
)
VIEWS_5 = (
    VIEWS_4.replace(
        "from django.urls import reverse\n", "from django.urls import reverse\nfrom django.utils import timezone\n"
    )
    .replace(
        """        \"\"\"Return the last five published questions.\"\"\"
        return Question.objects.order_by("-pub_date")[:5]
""",
        '''        """
        Return the last five published questions (not including those set to be
        published in the future).
        """
        return Question.objects.filter(pub_date__lte=timezone.now()).order_by("-pub_date")[
            :5
        ]
''',
    )
    .replace(
        """    model = Question
    template_name = "polls/detail.html"
""",
        '''    model = Question
    template_name = "polls/detail.html"

    def get_queryset(self):
        """
        Excludes any questions that aren't published yet.
        """
        return Question.objects.filter(pub_date__lte=timezone.now())
''',
    )
)
# The test that finds the bug in part 2's model, before it is fixed.
TESTS_5_FIRST = '''import datetime

from django.test import TestCase
from django.utils import timezone

from .models import Question


class QuestionModelTests(TestCase):
    def test_was_published_recently_with_future_question(self):
        """
        was_published_recently() returns False for questions whose pub_date
        is in the future.
        """
        time = timezone.now() + datetime.timedelta(days=30)
        future_question = Question(pub_date=time)
        self.assertIs(future_question.was_published_recently(), False)
'''
TESTS_5 = (
    TESTS_5_FIRST.replace(
        "from django.utils import timezone\n", "from django.urls import reverse\nfrom django.utils import timezone\n"
    )
    + '''
    def test_was_published_recently_with_old_question(self):
        """
        was_published_recently() returns False for questions whose pub_date
        is older than 1 day.
        """
        time = timezone.now() - datetime.timedelta(days=1, seconds=1)
        old_question = Question(pub_date=time)
        self.assertIs(old_question.was_published_recently(), False)

    def test_was_published_recently_with_recent_question(self):
        """
        was_published_recently() returns True for questions whose pub_date
        is within the last day.
        """
        time = timezone.now() - datetime.timedelta(hours=23, minutes=59, seconds=59)
        recent_question = Question(pub_date=time)
        self.assertIs(recent_question.was_published_recently(), True)


def create_question(question_text, days):
    """
    Create a question with the given `question_text` and published the
    given number of `days` offset to now (negative for questions published
    in the past, positive for questions that have yet to be published).
    """
    time = timezone.now() + datetime.timedelta(days=days)
    return Question.objects.create(question_text=question_text, pub_date=time)


class QuestionIndexViewTests(TestCase):
    def test_no_questions(self):
        """
        If no questions exist, an appropriate message is displayed.
        """
        response = self.client.get(reverse("polls:index"))
        self.assertEqual(response.status_code, 200)
        self.assertContains(response, "No polls are available.")
        self.assertQuerySetEqual(response.context["latest_question_list"], [])

    def test_future_question_and_past_question(self):
        """
        Even if both past and future questions exist, only past questions
        are displayed.
        """
        question = create_question(question_text="Past question.", days=-30)
        create_question(question_text="Future question.", days=30)
        response = self.client.get(reverse("polls:index"))
        self.assertQuerySetEqual(
            response.context["latest_question_list"],
            [question],
        )


class QuestionDetailViewTests(TestCase):
    def test_future_question(self):
        """
        The detail view of a question with a pub_date in the future
        returns a 404 not found.
        """
        future_question = create_question(question_text="Future question.", days=5)
        url = reverse("polls:detail", args=(future_question.id,))
        response = self.client.get(url)
        self.assertEqual(response.status_code, 404)

    def test_past_question(self):
        """
        The detail view of a question with a pub_date in the past
        displays the question's text.
        """
        past_question = create_question(question_text="Past Question.", days=-5)
        url = reverse("polls:detail", args=(past_question.id,))
        response = self.client.get(url)
        self.assertContains(response, past_question.question_text)
'''
)

STYLE_6 = """li a {
    color: green;
}

body {
    background: white url("images/background.png") no-repeat;
}
"""
INDEX_6 = (
    """{% load static %}

<link rel="stylesheet" href="{% static 'polls/style.css' %}">

"""
    + INDEX_3
)

MODELS_7 = MODELS_5.replace(
    "import datetime\n\nfrom django.db", "import datetime\n\nfrom django.contrib import admin\nfrom django.db"
).replace(
    "    def was_published_recently(self):",
    """    @admin.display(
        boolean=True,
        ordering="pub_date",
        description="Published recently?",
    )
    def was_published_recently(self):""",
)
ADMIN_7 = """from django.contrib import admin

from .models import Choice, Question


class ChoiceInline(admin.TabularInline):
    model = Choice
    extra = 3


class QuestionAdmin(admin.ModelAdmin):
    fieldsets = [
        (None, {"fields": ["question_text"]}),
        ("Date information", {"fields": ["pub_date"], "classes": ["collapse"]}),
    ]
    inlines = [ChoiceInline]
    list_display = ["question_text", "pub_date", "was_published_recently"]
    list_filter = ["pub_date"]
    search_fields = ["question_text"]


admin.site.register(Question, QuestionAdmin)
"""
BASE_SITE_7 = """{% extends "admin/base.html" %}

{% block title %}{% if subtitle %}{{ subtitle }} | {% endif %}{{ title }} | {{ site_title|default:_('Django site admin') }}{% endblock %}

{% block branding %}
<div id="site-name"><a href="{% url 'admin:index' %}">Polls Administration</a></div>
{% if user.is_anonymous %}
  {% include "admin/color_theme_toggle.html" %}
{% endif %}
{% endblock %}

{% block nav-global %}{% endblock %}
"""

PAGES = "apps/polls/templates/polls"
# The content of the files in `apps/polls/` and `templates/` at the end of each part.
PARTS: dict[int, dict[str, str]] = {
    1: {"apps/polls/views.py": VIEWS_1, "apps/polls/urls.py": URLS_1},
    2: {"apps/polls/models.py": MODELS_2, "apps/polls/admin.py": ADMIN_2},
    3: {
        "apps/polls/views.py": VIEWS_3,
        "apps/polls/urls.py": URLS_3,
        f"{PAGES}/index.html": INDEX_3,
        f"{PAGES}/detail.html": DETAIL_3,
    },
    4: {
        "apps/polls/views.py": VIEWS_4,
        "apps/polls/urls.py": URLS_4,
        f"{PAGES}/detail.html": DETAIL_4,
        f"{PAGES}/results.html": RESULTS_4,
    },
    5: {"apps/polls/models.py": MODELS_5, "apps/polls/views.py": VIEWS_5, "apps/polls/tests.py": TESTS_5},
    6: {"apps/polls/static/polls/style.css": STYLE_6, f"{PAGES}/index.html": INDEX_6},
    7: {
        "apps/polls/models.py": MODELS_7,
        "apps/polls/admin.py": ADMIN_7,
        "templates/admin/base_site.html": BASE_SITE_7,
    },
}
