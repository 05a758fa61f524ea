"""Make the ordinary changes that owners make to a rendered project."""

from pathlib import Path

from tests.support.edits import Edit, added, appended, behind
from tests.support.faults import text

BASE, URLS = "config/settings/base.py", "config/urls.py"

# Code as owners write it, or copy it from a tutorial.
OWN = '''"""What is the owner's."""

from django.http import HttpResponse, HttpResponsePermanentRedirect

from apps.accounts.models import User


def index(request):
    """Show a page that reads the database."""
    return HttpResponse(f"Hello, all {User.objects.count()} of you.")


def everybody(request):
    """Tell every template something of the database."""
    return {"everybody": User.objects.count()}


def moved(get_response):
    """Let every page have another address."""
    return lambda request: (
        get_response(request)
        if request.path.startswith("/new/")
        else HttpResponsePermanentRedirect(f"/new{request.path}")
    )


def no_robots(get_response):
    """Refuse whoever is no browser."""
    return lambda request: (
        get_response(request)
        if "Mozilla" in request.headers.get("User-Agent", "")
        else HttpResponse("No robots", status=403)
    )


def counted(get_response):
    """Ask the database at every request."""

    def answer(request):
        User.objects.count()
        return get_response(request)

    return answer
'''
CITY = """from django.db import migrations, models


def fill(apps, schema_editor):
    apps.get_model("accounts", "User").objects.create(email="first@example.com")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [
        migrations.AddField("user", "city", models.CharField(max_length=50, null=True)),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
"""
CITY_NOT_NULL = """from django.db import migrations, models


def fill(apps, schema_editor):
    apps.get_model("accounts", "User").objects.filter(city=None).update(city="Graz")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0002_city")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField("user", "city", models.CharField(max_length=50, default="")),
    ]
"""
PAGE = "<!DOCTYPE html><title>Ours</title><p>A page of ours, without a style sheet.\n"

own = added({"apps/own/__init__.py": "", "apps/own/things.py": OWN})


def setting(*lines: str) -> Edit:
    """Add settings for development, tests and production."""
    return appended(BASE, "\n".join(lines))


def middleware(name: str, after: str = "django.contrib.auth.middleware.AuthenticationMiddleware") -> Edit:
    """Add a middleware after an existing one."""
    return behind(BASE, f'    "{after}",', f'    "{name}",')


def imported(line: str) -> Edit:
    """Add an import to config/urls.py."""
    return behind(URLS, "from django.urls import include, path", f"\n{line}")


def pages(*names: str) -> Edit:
    """Replace the template's pages by others."""

    def change(project: Path) -> None:
        for name in names:
            assert (project / f"templates/{name}.html").exists()
            (project / f"templates/{name}.html").write_text(PAGE)

    return change


MORE_TO_FILL_IN = text(
    "apps/accounts/forms.py",
    "    def try_save(",
    """    terms = forms.BooleanField()
    name = forms.CharField(max_length=50)
    city = forms.ChoiceField(choices=[("", ""), ("graz", "Graz")])

    def try_save(""",
)
# Languages that visitors choose from, without English.
LOCALE = (
    setting('LANGUAGE_CODE = "fr"', 'LANGUAGES = [("fr", "Français"), ("ar", "العربية")]'),
    middleware("django.middleware.locale.LocaleMiddleware", "django.contrib.sessions.middleware.SessionMiddleware"),
)
HOME_READS = """    template_name = "pages/home.html"

    def get_context_data(self, **kwargs):
        from apps.accounts.models import User

        return super().get_context_data(everybody=User.objects.count(), **kwargs)
"""
