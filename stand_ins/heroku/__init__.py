"""Emulate Heroku, so that a runbook can be run as it is written."""

from stand_ins.heroku.platform import Heroku, heroku

__all__ = ["Heroku", "heroku"]
