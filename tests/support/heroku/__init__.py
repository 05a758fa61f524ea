"""A stand-in of Heroku, on which a runbook can be run as it is written."""

from tests.support.heroku.platform import Heroku, heroku

__all__ = ["Heroku", "heroku"]
