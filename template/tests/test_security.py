"""What a browser may do with the pages, and what a stranger may not do to the site."""

import re
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.pages.views import HomeView
