"""Which address leads where."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

# The admin logs in through the site's own login, whose attempts are limited. allauth documents it
# so; a type checker sees a method replaced, by a function without types.
admin.autodiscover()
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign, no-untyped-call]

urlpatterns = [
    path("", include("apps.pages.urls")),
    path("accounts/", include("apps.accounts.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("", include("apps.operations.urls")),
    # The project's own, apart from those that `copier update` changes.
]

handler500 = "apps.pages.views.server_error"
