"""A plugin of mypy's: in code that may leave types out, `request.user` is taken for a member.

Behind `@login_required` somebody is logged in, which no type checker can see. mypy would refuse
`Item.objects.filter(owner=request.user)` there, since `request.user` could be nobody. See [tool.mypy] in pyproject.toml.
"""

from collections.abc import Callable
from typing import override

from mypy.plugin import AttributeContext, Plugin
from mypy.types import AnyType, Instance, Type, TypeOfAny, UnionType, get_proper_type

REQUEST_USER = "django.http.request.HttpRequest.user"
NOBODY = "django.contrib.auth.models.AnonymousUser"


def without_nobody(context: AttributeContext) -> Type:
    """Return the type of `request.user` where it is read: strictly typed code has to look who it is."""
    user = get_proper_type(context.default_attr_type)
    if context.api.options.disallow_untyped_defs or not isinstance(user, UnionType):
        return user
    # Not left out: the code behind `if not request.user.is_authenticated` would count as never run, and go unchecked.
    return UnionType([AnyType(TypeOfAny.special_form) if is_nobody(each) else each for each in user.items])


def is_nobody(each: Type) -> bool:
    """Return whether a type is that of visitors who are not logged in."""
    proper = get_proper_type(each)
    return isinstance(proper, Instance) and proper.type.fullname == NOBODY


class RequestUser(Plugin):
    """The plugin."""

    @override
    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """Return what is asked for the type of an attribute; None for every other one."""
        return without_nobody if fullname == REQUEST_USER else None


def plugin(_version: str) -> type[Plugin]:
    """Return the plugin, for any version of mypy."""
    return RequestUser
