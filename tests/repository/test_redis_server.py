"""The tests' Redis server can be stopped, made to hang, and restarted, and keeps its data."""

import signal

from tests.support.redis import Redis


def test_what_it_holds_is_there_after_a_stop_and_a_kill(redis_server: Redis) -> None:
    assert redis_server.ask("SET a 1") == "+OK"
    redis_server.stop()
    assert redis_server.ask("GET a") == ""
    redis_server.start()
    redis_server.stop(signal.SIGKILL)
    redis_server.start()
    assert redis_server.ask("INCR a") == ":2"


def test_it_can_be_stopped_while_it_hangs(redis_server: Redis) -> None:
    redis_server.send(signal.SIGSTOP)
    redis_server.stop()
    redis_server.start()
    assert redis_server.ask("PING") == "+PONG"
