"""The API tells an account about itself. These tests are yours, as config/api.py is."""

import pytest
from django.test import Client

from apps.accounts.models import User
from operations.api.models import Token

pytestmark = pytest.mark.usefixtures("as_shipped")


def test_a_program_with_a_token_is_told_whose_it_is(client: Client, member: User) -> None:
    token = Token.objects.issue(member, "Nightly import")[1]
    answer = client.get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json() == {"id": member.pk, "email": member.email, "first_name": "", "last_name": ""}


@pytest.mark.django_db
def test_a_stranger_is_told_nothing(client: Client) -> None:
    assert client.get("/api/me").status_code == 401
    assert client.get("/api/tokens").status_code == 401


def test_a_member_sees_only_their_own_tokens(member_client: Client, member: User) -> None:
    other = User.objects.create_user("other@example.com")
    for owner, name in ((member, "Mine"), (other, "Other"), (member, "Newer")):
        Token.objects.issue(owner, name)
    page = member_client.get("/api/tokens?limit=1").json()
    assert (page["count"], [each["name"] for each in page["items"]]) == (2, ["Newer"])
    assert "digest" not in page["items"][0]
