"""Let mypy accept `request.user` as a logged-in user, in code that may omit types.

Behind `@login_required` the visitor is logged in, but mypy cannot know that. It would refuse
`Item.objects.filter(owner=request.user)`, because `request.user` could be an AnonymousUser. See [tool.mypy] in
pyproject.toml.
"""

from collections.abc import Callable
from typing import override

from mypy.plugin import AttributeContext, Plugin
from mypy.types import AnyType, Instance, Type, TypeOfAny, UnionType, get_proper_type

REQUEST_USER = "django.http.request.HttpRequest.user"
NOBODY = "django.contrib.auth.models.AnonymousUser"


def without_nobody(context: AttributeContext) -> Type:
    """Return the type of `request.user`. Strictly typed code still has to check whether the visitor is logged in."""
    user = get_proper_type(context.default_attr_type)
    if context.api.options.disallow_untyped_defs or not isinstance(user, UnionType):
        return user
    # AnonymousUser becomes Any. Without it, mypy would skip the code behind `if not request.user.is_authenticated`.
    return UnionType([AnyType(TypeOfAny.special_form) if is_nobody(each) else each for each in user.items])


def is_nobody(each: Type) -> bool:
    """Return whether a type is AnonymousUser."""
    proper = get_proper_type(each)
    return isinstance(proper, Instance) and proper.type.fullname == NOBODY


class RequestUser(Plugin):
    """Change the type of `request.user`."""

    @override
    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """Return the function that gives `request.user` its type; None for other attributes."""
        return without_nobody if fullname == REQUEST_USER else None


def plugin(_version: str) -> type[Plugin]:
    """Return the plugin, for any version of mypy."""
    return RequestUser
